// `rxscope check-config <file>`: every problem of a configuration file, or the settings it leads to.
// Looks at the file only, not at what this host can measure.

import { Command } from 'commander';
import { formatAddress } from '../config/address.ts';
import { formatDuration } from '../config/duration.ts';
import { effectiveConfig } from '../config/load.ts';
import { ConfigError } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import type { WebConfig, WebTls } from '../config/web_config_file.ts';
import { type CliContext, examples } from './command.ts';

export function checkConfigCommand({ io }: CliContext): Command {
  const command = new Command('check-config')
    .description('Validate a configuration file; print every problem with its path.')
    .argument('[file]', 'YAML file with the configuration')
    .option('--web <file>', 'the file of --web.config.file, and what it names (default: none)')
    .addHelpText('after', EXAMPLES)
    .action(async (file: string | undefined, { web }: { readonly web?: string }) => {
      if (file === undefined && web === undefined) {
        command.error('error: expected a configuration file, or --web with one');
      }
      const config = file === undefined ? undefined : effectiveConfig({ configFile: file });
      const webFile = web ?? config?.web.config_file;
      const rules = webFile === undefined ? undefined : await checkedWeb(webFile);
      for (const warning of rules?.warnings ?? []) io.err(`${io.errColors.yellow(warning)}\n`);
      const ok = io.outColors.green('ok');
      if (config !== undefined) io.out(`${file}: ${ok}\n${summary(config)}`);
      if (rules !== undefined) io.out(`${webFile}: ${ok}\n${webSummary(rules)}`);
    });
  return command;
}

/** Throws `ConfigError`. Loaded only here: reading certificates takes a lot of Node. */
async function checkedWeb(file: string): Promise<WebConfig> {
  const { readWebConfig } = await import('../config/web_config_file.ts');
  const read = readWebConfig(file);
  if ('problems' in read) throw new ConfigError(read.problems);
  return read.config;
}

const EXAMPLES = `
Exit code 0 when the file can be used, 2 otherwise.
${examples([
  ['rxscope check-config /etc/rxscope.yaml', 'before sending SIGHUP to the agent'],
  ['rxscope check-config --web web.yaml', 'certificates, keys and users'],
])}`;

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
  return table(rows);
}

function webSummary({ tls, headers, users }: WebConfig): string {
  const { minVersion, maxVersion } = tls?.context ?? {};
  return table([
    ['TLS', tls === undefined ? 'off' : `${minVersion} to ${maxVersion}`],
    ['client certificates', tls === undefined ? 'not asked for' : clientsText(tls)],
    ['users', [...users.keys()].join(', ') || 'none: nobody has to log in'],
    ['headers', Object.keys(headers).join(', ') || 'none'],
  ]);
}

function clientsText({ clients, allowedSans }: WebTls): string {
  if (!clients.asked) return 'not asked for';
  const text = `${clients.required ? 'required' : 'optional'}, ${clients.verified ? '' : 'not '}verified`;
  return allowedSans === undefined ? text : `${text}, of ${allowedSans.join(', ')}`;
}

function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}\n`).join('');
}
