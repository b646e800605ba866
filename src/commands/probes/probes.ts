// `rxscope probes`: attaches everything for a moment and says how it went.

import { loadAddon } from '../../addon/addon.ts';
import { captureOptions } from '../../agent/capture_options.ts';
import { askedToEnd, endAtHangUp, endInOrder } from '../../agent/signals.ts';
import { explain } from '../../capture/explain.ts';
import { forceRung, HOOKS } from '../../capture/hooks.ts';
import { type CaptureOptions, openKernelCapture } from '../../capture/kernel_capture.ts';
import type { ProbeStatus } from '../../capture/status.ts';
import { probeStatuses } from '../../capture/status.ts';
import type { Config } from '../../config/schema.ts';
import { hasScript, PROBES } from '../../probes/index.ts';
import { colorsFor } from '../../terminal/colors.ts';
import { print } from '../../terminal/output.ts';
import type { ProbesOptions } from '../options.ts';
import { renderProbes } from './render.ts';
import { tryScripts } from './scripts.ts';

/** Resolves to the exit code: 1 when a probe that is switched on is not up. */
export async function listProbes({ config, rung, json }: ProbesOptions): Promise<number> {
  endInOrder();
  endAtHangUp();
  const backend = rung === undefined ? config.backend : rung === 'bpftrace' ? rung : 'libbpf';
  const options = captureOptions(config, false);
  const settings = {
    ...options,
    ...(backend === 'bpftrace' ? { probes: options.probes.filter(hasScript) } : {}),
    ...(rung === undefined || rung === 'bpftrace' ? {} : { hooks: forceRung(HOOKS, rung) }),
  };
  const statuses = await attachForAMoment(settings, backend);
  if (askedToEnd.aborted) {
    process.stderr.write(`rxscope: ended by ${askedToEnd.reason} before everything was tried\n`);
    return 1;
  }
  const rows = statuses.map((status) => {
    const probe = PROBES.find(({ id }) => id === status.id);
    // Drops are no latency: they have neither.
    if (probe === undefined) return status;
    const { from, to } = probe;
    return { ...status, from, to, budget_seconds: (config.probes[probe.id]?.budget_ns ?? 0) / 1e9 };
  });
  print(
    json ? `${JSON.stringify(rows, null, 2)}\n` : renderProbes(statuses, colorsFor(process.stdout)),
  );
  return statuses.every(({ id, up }) => up || !settings.probes.includes(id)) ? 0 : 1;
}

async function attachForAMoment(
  settings: CaptureOptions,
  backend: Config['backend'],
): Promise<readonly ProbeStatus[]> {
  const wanted = settings.probes;
  if (backend === 'bpftrace') return tryScripts(probeStatuses(wanted, []), wanted, true);
  const statuses = byLibbpf(settings);
  const missing = wanted.filter(
    (id) => hasScript(id) && !statuses.some((s) => s.id === id && s.up),
  );
  return backend === 'auto' && missing.length > 0 ? tryScripts(statuses, missing, false) : statuses;
}

function byLibbpf(settings: CaptureOptions): ProbeStatus[] {
  try {
    const capture = openKernelCapture(loadAddon(), settings);
    capture.close();
    return probeStatuses(settings.probes, capture.states, capture.failure);
  } catch (error) {
    return probeStatuses(settings.probes, [], explain(error));
  }
}
