// What the agent takes of the host's memory: freed memory goes back to the system, at the end of the start
// and every so many answers. No timer: who is not asked frees nothing.

import { loadAddon } from '../addon/addon.ts';

/** In the usual quarter of a minute between scrapes, each eight minutes. */
const ANSWERS = 32;

let answers = 0;

/** To be called after each answer. */
export function answered(): void {
  answers++;
  if (answers % ANSWERS === 0) giveBack();
}

export function giveBack(): void {
  try {
    loadAddon().giveBackMemory();
  } catch {
    // Without the addon nothing is measured, and nothing large was freed.
  }
}
