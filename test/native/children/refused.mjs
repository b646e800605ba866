// Loads objects that the verifier refuses half-way, closing half of them and leaving the others to
// the garbage collector. Tells what the process holds before and after.

import { setImmediate as nextTurn } from 'node:timers/promises';
import { addon, held, tell } from './common.mjs';

const [path, count] = process.argv.slice(2);
let refused = 0;

function refuse(close) {
  const object = addon.openObject(path);
  try {
    object.load();
  } catch (error) {
    if (error.program === 'follows_a_number') refused++;
  }
  if (close) object.close();
}

const before = held();
for (let made = 0; made < Number(count); made++) refuse(made % 2 === 0);
for (let turn = 0; turn < 7; turn++) {
  globalThis.gc();
  await nextTurn();
}
tell({ refused, before, after: held() });
