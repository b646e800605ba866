// Gives up capabilities as the agent does, then starts a bpftrace script as the agent does when one
// has ended. Prints as JSON what was kept, and how bpftrace ended.
//
//   bpftrace_after_drop.mjs kept|dropped types|tracepoints
//
// `kept`: the agent knows that it will start bpftrace again.

import { spawnSync } from 'node:child_process';
import { dropPrivileges } from '../../dist/agent/privileges.js';

/** By what they know of the kernel: its types too, as the bundled scripts do, or tracepoints alone. */
const SCRIPTS = {
  types: 'tracepoint:net:netif_receive_skb { @ = sum(((struct sk_buff *)args->skbaddr)->len); }',
  tracepoints: 'tracepoint:irq:softirq_entry { @ = count(); }',
};
const END = 'interval:ms:100 { exit(); }';

const [, , known, needs] = process.argv;
let kept = {};
const log = {
  info: (fields) => {
    kept = fields.kept ?? {};
  },
  warn: ({ reason }) => {
    throw new Error(reason);
  },
};
dropPrivileges(
  { bpfStats: false, bpftrace: known === 'kept', configFile: undefined, webFiles: [] },
  log,
);
const script = `${SCRIPTS[needs]} ${END}`;
const { status, stderr } = spawnSync('bpftrace', ['-e', script], { encoding: 'utf8' });
process.stdout.write(`${JSON.stringify({ kept: Object.keys(kept), status, stderr })}\n`);
