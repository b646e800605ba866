// `npm run build`: everything that `npm start` needs, and nothing started.

import { setup } from './setup.mjs';

await setup({ tests: false });
