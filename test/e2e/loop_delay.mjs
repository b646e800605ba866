// Loaded into an agent before its own code: keeps in the file LOOP_DELAY_FILE how late its event loop was at
// most since that file was removed, in ms: as JSON, `late` by the clock, and `busy`, without the time in which
// the thread could run and had no CPU.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

const file = process.env.LOOP_DELAY_FILE;
const EACH_MS = 20;
let lastMs = performance.now();
let waitedMs = runQueueMs();
let most = { late: 0, busy: 0 };

setInterval(() => {
  if (!existsSync(file)) most = { late: 0, busy: 0 };
  const nowMs = performance.now();
  const waited = runQueueMs();
  const late = Math.max(0, nowMs - lastMs - EACH_MS);
  const busy = Math.max(0, late - (waited - waitedMs));
  most = { late: Math.max(most.late, late), busy: Math.max(most.busy, busy) };
  // Whole or not at all, whoever reads it.
  writeFileSync(`${file}.new`, JSON.stringify(most));
  renameSync(`${file}.new`, file);
  [lastMs, waitedMs] = [nowMs, waited];
}, EACH_MS).unref();

/** How long this thread has waited for a CPU: the second number of sched_info (Documentation/scheduler/sched-stats). */
function runQueueMs() {
  return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[1]) / 1e6;
}
