// Leaves a reader open and ends: by itself, or by process.exit in the midst of a batch.

import { makeCalls, openCalls, openReader, tell } from './common.mjs';

const [path, mode] = process.argv.slice(2);
openReader(openCalls(path), () => {
  if (mode !== 'exits in the callback') return;
  tell({ delivered: true });
  process.exit(7);
});
if (mode === 'exits in the callback') setInterval(() => makeCalls(101), 1);
else tell({ delivered: false });
