// A day in the life of a host, in minutes: 10,000 events in random order, and at every quiet moment the books
// balance to the unit. RXSCOPE_SEED has a life again that failed; RXSCOPE_EVENTS makes it longer or shorter.
//
// No CPU is unplugged here, which would move the interrupts and the pinned processes of this machine for good:
// test/vm/hotplug.test.ts does that in a guest.

import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Books } from './books.ts';
import { run } from './lab.ts';
import { buildSockets } from './sockets.ts';

const SEED = Number(process.env.RXSCOPE_SEED ?? randomInt(2 ** 31));
const EVENTS = Number(process.env.RXSCOPE_EVENTS ?? 10_000);
const TIMEOUT_MS = 600_000;
/** What a host that is busy may add to a wait. */
const BUSY_SECONDS = 1;
const HERE = `rxl-${process.pid}`;
const THERE = `rxo-${process.pid}`;
/** Two programs are built, which takes a busy machine long. */
const BUILD_MS_MAX = 240_000;

let program: ReturnType<typeof buildSockets>;
beforeAll(() => {
  program = buildSockets();
  for (const name of [HERE, THERE]) {
    run('ip', 'netns', 'add', name);
    run('ip', '-n', name, 'link', 'set', 'lo', 'up');
  }
}, BUILD_MS_MAX);
afterAll(() => {
  for (const name of [HERE, THERE]) run('ip', 'netns', 'del', name);
  program?.remove();
});

interface Life {
  readonly events: number;
  readonly error?: string;
  readonly recent?: readonly string[];
  readonly readings: number;
  readonly removed: number;
  readonly books: Books;
  readonly latencyMax: number;
  readonly heldMax: number;
}

test(`${EVENTS} random events leave the books at 0 (RXSCOPE_SEED=${SEED})`, {
  timeout: TIMEOUT_MS,
}, async () => {
  const script = fileURLToPath(new URL('./life/life.ts', import.meta.url));
  const words = [`${SEED}`, `${EVENTS}`, program.path, HERE, THERE];
  const inside = ['netns', 'exec', HERE, process.execPath, '--import', 'tsx', script, ...words];
  const { stdout } = await promisify(execFile)('ip', inside);
  const life = JSON.parse(stdout) as Life;
  const says = `RXSCOPE_SEED=${SEED}: ${stdout}`;
  console.log(says);
  expect(life.error, says).toBeUndefined();
  expect(life.events, says).toBe(EVENTS);
  expect(life.books.difference, says).toBe(0);
  expect(life.books.observed, says).toBeGreaterThan(EVENTS / 10);
  expect(life.removed, says).toBeGreaterThan(0);
  // Nothing took longer than the longest that a socket was kept from its packets.
  expect(life.latencyMax, says).toBeLessThan(life.heldMax + BUSY_SECONDS);
});
