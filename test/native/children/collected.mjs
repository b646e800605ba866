// Objects that nobody closes: the garbage collector comes first. Then one with an open reader,
// which must go on delivering although nobody holds it, and must not keep the process running.

import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  addon,
  held,
  makeCalls,
  openCalls,
  openReader,
  RECORD_STEP_BYTES,
  tell,
  until,
} from './common.mjs';

const [path] = process.argv.slice(2);

async function collect() {
  for (let turn = 0; turn < 7; turn++) {
    globalThis.gc();
    await nextTurn();
  }
}

function abandonObjects(count) {
  for (let made = 0; made < count; made++) {
    // One in each state: opened; attached and mapped; closed; with a reader that is closed.
    addon.openObject(path);
    openCalls(path).read('slots', 0, new Uint8Array(8));
    openCalls(path).close();
    openReader(openCalls(path), () => {}).close();
    addon.enableStats();
  }
}

await collect();
const before = held();
abandonObjects(11);
const during = held();
await collect();
const after = held();

let delivered = 0;
(() => {
  openReader(openCalls(path), (frames) => {
    delivered += frames.byteLength / RECORD_STEP_BYTES;
  });
})();
await collect();
makeCalls(211);
await until(() => delivered === 211);
tell({ before, during, after, delivered });
