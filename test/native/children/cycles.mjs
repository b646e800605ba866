// Opens, loads, attaches, reads from and closes an object, over and over. Tells what the process
// holds and how much memory it has after the warm-up and at the end.

import { setImmediate as nextTurn } from 'node:timers/promises';
import { held, makeCalls, openCalls, openReader, RECORD_STEP_BYTES, tell } from './common.mjs';

const [path, warmUp, cycles] = process.argv.slice(2);
let delivered = 0;

async function run(count) {
  for (let cycle = 0; cycle < count; cycle++) {
    const object = openCalls(path);
    const reader = openReader(object, (frames) => {
      delivered += frames.byteLength / RECORD_STEP_BYTES;
    });
    makeCalls(1);
    reader.drain();
    if (cycle % 2 === 0) reader.close();
    object.close();
    // libuv lets go of a reader's handles on the next turn.
    await nextTurn();
    // The readers' buffers are garbage by now: without this, when it is collected decides the peak.
    if (cycle % 50 === 0) globalThis.gc();
  }
  globalThis.gc();
  return { ...held(), rssKib: Math.round(process.memoryUsage.rss() / 1024) };
}

const before = await run(Number(warmUp));
const after = await run(Number(cycles));
tell({ delivered, before, after });
