// A callback that throws on every third batch. With `handled` the process has a handler and goes on
// until all is delivered; without, it ends as any uncaught exception ends it.

import { makeCalls, openCalls, openReader, RECORD_STEP_BYTES, tell, until } from './common.mjs';

const [path, mode] = process.argv.slice(2);
const caught = [];
if (mode === 'handled') process.on('uncaughtException', (error) => caught.push(error.message));

let batches = 0;
let delivered = 0;
const object = openCalls(path);
openReader(object, (frames) => {
  batches++;
  delivered += frames.byteLength / RECORD_STEP_BYTES;
  if (batches % 3 === 1) throw new Error(`thrown by batch ${batches}`);
});
makeCalls(509);
await until(() => delivered === 509);
makeCalls(503);
await until(() => delivered === 1012);
object.close();
tell({ batches, delivered, caught: caught.length, first: caught[0] });
