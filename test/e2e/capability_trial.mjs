// Tries, in a process of its own, everything that may take a capability, and prints as JSON for each
// what kept it from working: an empty string when it works. Judges nothing: permissions.ts does.
// Plain JavaScript, because it runs as it is, as any user and in guests.

import { readFileSync } from 'node:fs';
import { loadAddon } from '../../dist/addon/addon.js';
import { explainObject, isBpfError } from '../../dist/capture/explain.js';
import { HOOKS } from '../../dist/capture/hooks.js';
import { openKernelCapture } from '../../dist/capture/kernel_capture.js';
import { listDevices } from '../../dist/host/devices.js';
import { interruptOwners, readInterrupts } from '../../dist/host/interrupts.js';

const addon = loadAddon();
const OPTIONS = {
  probes: ['softirq_to_socket', 'receive_to_socket'],
  exact: false,
  devices: 16,
  pagesPerCpu: 8,
  budgets_ns: {},
  perCpuPerSecond: 100,
};

/** Programs of the one hook that has every rung. */
function withCapture(attach, work) {
  const hooks = HOOKS.filter(({ name }) => name === 'data_ready').map((hook) => ({
    ...hook,
    rungs: hook.rungs.filter((rung) => rung.attach === attach),
  }));
  const capture = openKernelCapture(addon, { ...OPTIONS, hooks });
  try {
    const [{ rung, refusals }] = capture.states;
    if (capture.failure !== undefined) return capture.failure;
    if (rung === undefined) return refusals.join('; ');
    return work(capture);
  } finally {
    capture.close();
  }
}

const ACTIONS = {
  outliers: () =>
    withCapture('tp_btf', (capture) => {
      capture.startRecords({ outlier: () => {}, observation: () => {}, drop: () => {} });
      return '';
    }),
  bpf_stats: () => {
    addon.enableStats().close();
    return '';
  },
  names: () => {
    if (listDevices().length === 0) return 'no devices';
    interruptOwners(readInterrupts());
    return '';
  },
};
for (const attach of ['tp_btf', 'raw_tp', 'tracepoint', 'fentry', 'kprobe']) {
  ACTIONS[attach] = () =>
    withCapture(attach, (capture) => (capture.read() === undefined ? 'nothing to read' : ''));
}

const told = {};
for (const [name, action] of Object.entries(ACTIONS)) {
  try {
    told[name] = action();
  } catch (error) {
    told[name] = isBpfError(error) ? explainObject(error) : String(error);
  }
}
const status = readFileSync('/proc/self/status', 'utf8');
const effective = /^CapEff:\s*(\w+)$/m.exec(status)?.[1];
process.stdout.write(`${JSON.stringify({ effective, told })}\n`);
