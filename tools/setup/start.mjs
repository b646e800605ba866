// `npm start -- OPTIONS`: makes the checkout ready, then becomes `rxscope run OPTIONS`.
// The agent runs in this very process: signals, exit code and terminal are its own.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT, setup } from './setup.mjs';

// Else Node opens its debugger at this signal, for every user of the host.
process.on('SIGUSR1', () => {});
await setup({ tests: false });

const main = join(ROOT, 'dist/commands/main.js');
const options = process.argv.slice(2);
process.argv = [process.execPath, main, 'run', ...options];
await import(pathToFileURL(main).href);
