// Starts bpftrace's scripts for a moment, to see whether they would stand. Measures nothing.

import { askedToEnd } from '../../agent/signals.ts';
import { BpftraceBackend } from '../../capture/bpftrace/backend.ts';
import type { ProbeStatus } from '../../capture/status.ts';
import { withScripts } from '../../capture/status.ts';

/**
 * The statuses with what bpftrace says to those probes that are `wanted`; takes a second or two, less
 * where the command is asked to end.
 */
export async function tryScripts(
  statuses: readonly ProbeStatus[],
  wanted: readonly string[],
  chosen: boolean,
): Promise<ProbeStatus[]> {
  const scripts = new BpftraceBackend(wanted, { onChange: () => {}, onProblem: () => {} });
  const stop = (): void => void scripts.stop();
  askedToEnd.addEventListener('abort', stop);
  try {
    if (!askedToEnd.aborted) await scripts.start();
    return withScripts(statuses, scripts.statuses(), chosen);
  } finally {
    askedToEnd.removeEventListener('abort', stop);
    await scripts.stop();
  }
}
