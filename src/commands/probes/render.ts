// Draws what `rxscope probes` found as text. Pure: data in, text out.

import type { ProbeStatus } from '../../capture/status.ts';
import { withoutControls } from '../../host/device_names.ts';
import type { Colors } from '../../terminal/colors.ts';

export function renderProbes(statuses: readonly ProbeStatus[], colors: Colors): string {
  return statuses.map((status) => renderStatus(status, colors)).join('\n');
}

function renderStatus({ id, up, off, reason, programs }: ProbeStatus, colors: Colors): string {
  const state = up ? colors.green('up') : off ? colors.dim('off') : colors.red('not up');
  const why = reason === '' ? '' : `: ${withoutControls(reason)}`;
  const lines = [`${colors.bold(id)}  ${state}${why}`];
  const width = Math.max(0, ...programs.map(({ hook }) => hook.length));
  for (const { hook, attach, target, refusals } of programs) {
    const stands = attach === undefined ? colors.red('–') : withoutControls(`${attach}/${target}`);
    lines.push(`  ${hook.padEnd(width)}  ${stands}`);
    for (const refusal of refusals)
      lines.push(`  ${' '.repeat(width)}  ${colors.dim(`not ${withoutControls(refusal)}`)}`);
  }
  return `${lines.join('\n')}\n`;
}
