// Drops capabilities step by step, with threads of every kind around that Node has, and tells where
// each thread stands before, between and after. The arguments are the sets to keep, one after the
// other: numbers joined by commas, or `-` for none.

import { execFileSync } from 'node:child_process';
import { pbkdf2 } from 'node:crypto';
import { readdirSync } from 'node:fs';
import inspector from 'node:inspector';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { addon, statusOf, tell } from './common.mjs';

const keeps = process.argv.slice(2);

function standing(status) {
  const value = (key) => new RegExp(`^${key}:\\s*(\\w+)$`, 'm').exec(status)?.[1] ?? '';
  const set = (key) => value(key).replace(/^0+(?=.)/, '');
  return {
    inheritable: set('CapInh'),
    permitted: set('CapPrm'),
    effective: set('CapEff'),
    bounding: set('CapBnd'),
    ambient: set('CapAmb'),
    noNewPrivs: value('NoNewPrivs') === '1',
  };
}

function allThreads() {
  return readdirSync('/proc/self/task').flatMap((tid) => {
    const status = statusOf(tid);
    return status === undefined ? [] : [standing(status)];
  });
}

async function startWorker() {
  const worker = new Worker('setInterval(() => {}, 1000)', { eval: true });
  await new Promise((resolve) => worker.once('online', resolve));
}

/** More threads: a worker, those of libuv's pool, the inspector's. */
async function startThreads() {
  await startWorker();
  await promisify(pbkdf2)('secret', 'salt', 1009, 32, 'sha256');
  if (inspector.url() === undefined) inspector.open(0, '127.0.0.1');
}

await startWorker();
const before = allThreads();
const steps = keeps.map((keep) => {
  const numbers = keep === '-' ? [] : keep.split(',').map(Number);
  const dropped = addon.dropCapabilities(Uint8Array.from(numbers));
  return { dropped, threads: allThreads() };
});
// The C library's own broadcast over all threads uses the same signal.
process.setuid(process.getuid());
await startThreads();
const child = standing(execFileSync('cat', ['/proc/self/status'], { encoding: 'utf8' }));
tell({ before, steps, later: allThreads(), child });
process.exit(0);
