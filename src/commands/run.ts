// `rxscope run`: the agent. Here only its options; what it does is in src/agent/run.ts.

import { Command } from 'commander';
import { formatAddress } from '../config/address.ts';
import { type ConfigFlags, effectiveConfig } from '../config/load.ts';
import { PROFILE_NAMES } from '../probes/profiles.ts';
import {
  type CliContext,
  type CommonFlags,
  examples,
  withConfigFile,
  withProbe,
} from './command.ts';

interface RunFlags extends CommonFlags {
  readonly profile?: string;
  readonly backend?: string;
  readonly 'web.listenAddress'?: string;
  readonly 'web.config.file'?: string;
  readonly 'web.maxRequests'?: string;
  readonly 'log.level'?: string;
  readonly 'log.format'?: string;
  /** Commander sets it to true where --no-process-metrics is not given. */
  readonly processMetrics: boolean;
  readonly bpfStats?: boolean;
  readonly strict?: boolean;
}

export function runCommand({ actions, exit }: CliContext): Command {
  const { web, log, backend } = effectiveConfig();
  const command = new Command('run')
    .description('Measure and serve the metrics until SIGTERM or SIGINT.')
    .usage('[options]');
  withConfigFile(command)
    .option(
      '--web.listen-address <address>',
      `HOST:PORT, [IPV6]:PORT or :PORT (default: ${formatAddress(web.listen_address)})`,
    )
    .option(
      '--web.config.file <file>',
      'TLS, users and headers, in the format of Prometheus (default: none)',
    )
    .option(
      '--web.max-requests <n>',
      `requests in flight; more get a 503 (default: ${web.requests_in_flight_max})`,
    )
    .option(
      '--log.level <level>',
      `fatal, error, warn, info, debug or trace (default: ${log.level})`,
    )
    .option(
      '--log.format <format>',
      `json, pretty, or auto: pretty on a terminal (default: ${log.format})`,
    )
    .option('--backend <name>', `auto, libbpf or bpftrace (default: ${backend})`)
    .option(
      '--profile <name>',
      `budgets for ${PROFILE_NAMES.join(', ')}; those in the file win (default: none)`,
    );
  withProbe(command)
    .option('--no-process-metrics', 'leave out process_* and nodejs_*')
    .option('--bpf-stats', "count the BPF programs' own run time (default: off)")
    .option('--strict', 'fail when something cannot be measured (default: off)')
    .addHelpText('after', NOTES)
    .action(async (given: RunFlags) => {
      const flags = configFlags(given);
      exit(await actions.runAgent({ config: effectiveConfig(flags), flags }));
    });
  return command;
}

const NOTES = `
Flags win over the configuration file. SIGHUP reads the file again.
${examples([
  ['rxscope run', 'all probes, default budgets'],
  ['rxscope run --profile hft --strict', 'tight budgets; fail rather than measure less'],
  ['rxscope run --probe irq_to_softirq', 'one probe only'],
  ['rxscope run --web.listen-address :10750', 'reachable from other hosts'],
  ['rxscope run --web.config.file web.yaml', 'TLS, and users who log in'],
  ['rxscope run --config.file /etc/rxscope.yaml', 'settings from a file'],
])}`;

function configFlags(given: RunFlags): ConfigFlags {
  return {
    configFile: given['config.file'],
    profile: given.profile,
    backend: given.backend,
    listenAddress: given['web.listenAddress'],
    webConfigFile: given['web.config.file'],
    requestsInFlightMax: given['web.maxRequests'],
    logLevel: given['log.level'],
    logFormat: given['log.format'],
    processMetrics: given.processMetrics ? undefined : false,
    bpfStats: given.bpfStats,
    strict: given.strict,
    probes: given.probe,
  };
}
