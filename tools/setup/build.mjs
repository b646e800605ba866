// `npm run build`: everything that `npm start` needs, and nothing started. With --tests, also what only
// the tests need.

import { setup } from './setup.mjs';

await setup({ tests: process.argv.includes('--tests') });
