// Drops capabilities while threads come and go, and tells how many threads have any left.

import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { addon, statusOf, tell } from './common.mjs';

const AT_ONCE = 5;
const SETS = ['39,38,21', '39,38', '39', ''];

let started = 0;
let wanted = true;
function startWorker() {
  started++;
  new Worker('for (let i = 0; i < 1e5; i++);', { eval: true }).once('exit', () => {
    if (wanted) startWorker();
  });
}

function someLeft(mask) {
  return readdirSync('/proc/self/task').filter((tid) => {
    const status = statusOf(tid);
    if (status === undefined) return false;
    const permitted = /^CapPrm:\s*(\w+)$/m.exec(status)?.[1] ?? 'ff';
    return (BigInt(`0x${permitted}`) & ~mask) !== 0n;
  }).length;
}

for (let i = 0; i < AT_ONCE; i++) startWorker();
const left = [];
for (const set of SETS) {
  // As many have come since the last time, and are in the midst of it.
  for (const before = started; started < before + AT_ONCE; ) await sleep(5);
  const numbers = set === '' ? [] : set.split(',').map(Number);
  addon.dropCapabilities(Uint8Array.from(numbers));
  left.push(someLeft(numbers.reduce((mask, number) => mask | (1n << BigInt(number)), 0n)));
}
wanted = false;
tell({ started, left });
process.exit(0);
