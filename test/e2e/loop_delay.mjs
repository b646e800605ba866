// For doors.test.ts, imported into the agent's own process: how long its loop was kept from its turn, at most,
// in milliseconds, in the file that the environment names.

import { writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();
setInterval(() => {
  writeFileSync(process.env.LOOP_DELAY_FILE ?? '', String(delay.max / 1e6));
}, 250).unref();
