// JavaScript that runs in the middle of openEvents and closes the object, or opens a reader itself: an
// async_hooks init, a getter of the options, a trap of their proxy, a setter that every object inherits.
// Tells the code of the error that openEvents threw, and how many records arrived afterwards.

import { createHook } from 'node:async_hooks';
import { makeCalls, openCalls, RECORD_STEP_BYTES, tell, until } from './common.mjs';

const [path, where, deed] = process.argv.slice(2);
const OPTIONS = { pagesPerCpu: 8, wakeupBytes: 0, batchBytesMax: 1024 };
const object = openCalls(path);
let delivered = 0;
let done = false;

function onBatch(frames) {
  delivered += frames.byteLength / RECORD_STEP_BYTES;
}

/** Once: what is opened inside does not do it again. */
function act() {
  if (done) return;
  done = true;
  if (deed === 'closes') object.close();
  else object.openEvents('events', OPTIONS, onBatch);
}

const PLACES = {
  init() {
    createHook({ init: (_, type) => type === 'rxscope:events' && act() }).enable();
    return OPTIONS;
  },
  getter: () => ({
    ...OPTIONS,
    get batchBytesMax() {
      act();
      return OPTIONS.batchBytesMax;
    },
  }),
  proxy: () =>
    new Proxy(OPTIONS, {
      get(target, name) {
        act();
        return target[name];
      },
    }),
  setter() {
    // The reader's handle gets its methods by assignment.
    Object.defineProperty(Object.prototype, 'drain', { set: act, configurable: true });
    return OPTIONS;
  },
};

let code = 'none';
try {
  object.openEvents('events', PLACES[where](), onBatch);
} catch (error) {
  code = error.code;
}
if (deed !== 'closes') {
  makeCalls(101);
  await until(() => delivered >= 101);
}
// What was freed would be used here, were it not freed well.
for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
object.close();
globalThis.gc();
tell({ code, delivered });
