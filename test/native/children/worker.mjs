// Workers that end in each of the possible ways while their reader is open, several times over.
// `held` tells what of the kernel's is left in the process when they are gone.

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { held, makeCalls, openCalls, openReader, tell } from './common.mjs';

const ROUNDS = 5;

if (isMainThread) await runWorkers(...process.argv.slice(2));
else work(workerData.path, workerData.ending);

async function runWorkers(path, ending) {
  let delivered = 0;
  const errors = [];
  let before;
  for (let round = 0; round < ROUNDS; round++) {
    await new Promise((resolve) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: { path, ending } });
      worker.on('message', () => {
        delivered++;
        if (ending.startsWith('terminated')) worker.terminate();
      });
      worker.on('error', (error) => errors.push(error.message));
      worker.on('exit', resolve);
    });
    // The first round opens what the process keeps, such as the thread pool's descriptors.
    before ??= held();
  }
  tell({ rounds: ROUNDS, delivered, errors, before, after: held() });
}

function work(path, ending) {
  const object = openCalls(path);
  let batches = 0;
  const reader = openReader(object, () => {
    batches++;
    if (batches > 1) return;
    parentPort.postMessage('delivered');
    if (ending === 'terminated in the callback') for (;;);
    if (ending === 'exits in the callback') process.exit(0);
    if (ending === 'throws in the callback') throw new Error('thrown in a worker');
    if (ending === 'closes in the callback') object.close();
    if (ending === 'ends right after closing') {
      reader.close();
      process.exit(0);
    }
    if (ending === 'ends by itself') clearInterval(busy);
  });
  // Keeps the worker's loop turning, which the reader does not.
  const busy = setInterval(() => makeCalls(101), 1);
  if (ending === 'closes in the callback') setTimeout(() => clearInterval(busy), 50);
}
