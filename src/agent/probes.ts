// `rxscope probes`: attaches everything for a moment and says how it went.

import { loadAddon } from '../capture/addon.ts';
import { openKernelCapture } from '../capture/kernel_capture.ts';
import { PROBES } from '../probes/index.ts';
import { captureOptions, explain } from './agent.ts';
import { colorsFor } from './colors.ts';
import type { ProbesOptions } from './options.ts';
import { renderProbes } from './render.ts';
import { probeStatuses } from './status.ts';

/** Resolves to the exit code: 1 when a probe that is switched on is not up. */
export async function listProbes({ config, json }: ProbesOptions): Promise<number> {
  const settings = captureOptions(config, false);
  const statuses = attachForAMoment(settings);
  const rows = statuses.map((status) => {
    const probe = PROBES.find(({ id }) => id === status.id);
    const { from = '', to = '' } = probe ?? {};
    return {
      ...status,
      from,
      to,
      budget_seconds: (config.probes[status.id]?.budget_ns ?? 0) / 1e9,
    };
  });
  process.stdout.write(
    json ? `${JSON.stringify(rows, null, 2)}\n` : renderProbes(statuses, colorsFor(process.stdout)),
  );
  return statuses.every(({ id, up }) => up || !settings.probes.includes(id)) ? 0 : 1;
}

function attachForAMoment(settings: ReturnType<typeof captureOptions>) {
  try {
    const capture = openKernelCapture(loadAddon(), settings);
    capture.close();
    return probeStatuses(settings.probes, capture.states, capture.failure);
  } catch (error) {
    return probeStatuses(settings.probes, [], explain(error));
  }
}
