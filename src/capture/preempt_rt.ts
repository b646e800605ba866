// Whether this kernel is built with PREEMPT_RT, where interrupt handlers run in threads and softirqs
// in tasks. By what it says of itself: `uname -v` has the word.

import { version } from 'node:os';

export function isPreemptRt(uname: string = version()): boolean {
  return /\bPREEMPT_RT\b/.test(uname);
}
