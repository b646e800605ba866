// `rxscope check-config <file>`: every problem of a configuration file, or the settings it leads to.
// Looks at the file only, not at what this host can measure.

import { Command } from 'commander';
import { formatAddress } from '../config/address.ts';
import { formatDuration } from '../config/duration.ts';
import { effectiveConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { type CliContext, examples } from './command.ts';

export function checkConfigCommand({ io }: CliContext): Command {
  return new Command('check-config')
    .description('Validate a configuration file; print every problem with its path.')
    .argument('<file>', 'YAML file with the configuration')
    .addHelpText('after', EXAMPLES)
    .action((file: string) => {
      const config = effectiveConfig({ configFile: file });
      io.out(`${file}: ${io.outColors.green('ok')}\n${summary(config)}`);
    });
}

const EXAMPLES = `
Exit code 0 when the file can be used, 2 otherwise.
${examples([['rxscope check-config /etc/rxscope.yaml', 'before sending SIGHUP to the agent']])}`;

function summary(config: Config): string {
  const { web, log, events } = config;
  const probes = Object.entries(config.probes).map(
    ([id, { enabled, budget_ns }]): [string, string] => [
      id,
      // What is no latency has no budget.
      !enabled ? 'off' : budget_ns > 0 ? `on, budget ${formatDuration(budget_ns)}` : 'on',
    ],
  );
  const extras = [
    ...(config.process_metrics ? ['process metrics'] : []),
    ...(config.bpf_stats ? ['BPF statistics'] : []),
    ...(config.strict ? ['strict'] : []),
  ];
  const rows: [string, string][] = [
    ['profile', config.profile ?? 'none'],
    ...probes,
    ['backend', config.backend],
    ['labels', `cpu ${config.labels.cpu}`],
    ['limits', `${config.series_max} series, ${config.devices_max} devices`],
    [
      'outliers',
      `${events.per_cpu_per_second} a second and CPU, ${events.pages_per_cpu} pages a CPU, ${config.outliers_kept} kept`,
    ],
    [
      'web',
      `${formatAddress(web.listen_address)}, ${web.requests_in_flight_max} requests in flight`,
    ],
    ['log', `${log.level}, ${log.format}`],
    ['extras', extras.join(', ') || 'none'],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}\n`).join('');
}
