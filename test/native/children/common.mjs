// What the child processes of lifetime.test.ts share. Plain JavaScript, because Node runs it as it
// is. They load the addon as src/addon/addon.ts does, and tell their result as a line of JSON.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
export const addon = createRequire(import.meta.url)('node-gyp-build')(root);

const GETUID = 102;
export const RECORD_STEP_BYTES = 32;

/** An object of calls.bpf.c, loaded, attached, sending a record for each getuid of this process. */
export function openCalls(path) {
  const object = addon.openObject(path);
  object.setConst('watched_pid', bytes(Uint32Array.of(process.pid)));
  object.setConst('watched_call', bytes(BigUint64Array.of(BigInt(GETUID))));
  object.load();
  object.write('.data.config', 0, bytes(Uint32Array.of(1, 1)));
  object.attach('count_calls');
  return object;
}

export function openReader(object, onBatch) {
  return object.openEvents(
    'events',
    { pagesPerCpu: 8, wakeupBytes: 0, batchBytesMax: 1024 },
    onBatch,
  );
}

export function makeCalls(count) {
  for (let made = 0; made < count; made++) process.getuid();
}

/** The kernel objects that this process holds: descriptors, and memory mapped from them. */
export function held() {
  const ofKernel = /bpf|btf|perf_event|eventpoll/;
  const descriptors = readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return ofKernel.test(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      // The descriptor of the listing itself, closed by now.
      return false;
    }
  });
  const mappings = readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => /bpf-map|perf_event/.test(line));
  return { descriptors: descriptors.length, mappings: mappings.length };
}

/** A thread's /proc status, or undefined when it ended after the folder was listed. */
export function statusOf(tid) {
  try {
    return readFileSync(`/proc/self/task/${tid}/status`, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return undefined;
    throw error;
  }
}

export async function until(condition) {
  while (!condition()) await nextTurn();
}

export function tell(result) {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

function bytes(words) {
  return new Uint8Array(words.buffer);
}
