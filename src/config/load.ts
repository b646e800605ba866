// The configuration in effect: the file, and over it the flags. Throws with all problems of both.
// Keeps nothing: SIGHUP calls it again with the same flags.

import { dirname, resolve } from 'node:path';
import { CATALOGUE } from '../probes/index.ts';
import { readSettingsFile } from './file.ts';
import { alternatives, ConfigError } from './problem.ts';
import { type Config, checkSettings } from './schema.ts';
import { didYouMean } from './suggest.ts';

/** What the command line says about the configuration, as typed; what it leaves out is undefined. */
export interface ConfigFlags {
  readonly configFile?: string | undefined;
  readonly profile?: string | undefined;
  readonly backend?: string | undefined;
  readonly listenAddress?: string | undefined;
  readonly webConfigFile?: string | undefined;
  readonly requestsInFlightMax?: string | undefined;
  readonly logLevel?: string | undefined;
  readonly logFormat?: string | undefined;
  readonly processMetrics?: boolean | undefined;
  readonly bpfStats?: boolean | undefined;
  readonly strict?: boolean | undefined;
  /** Only these probes, whatever the file enables. */
  readonly probes?: readonly string[] | undefined;
}

/** Each flag's name on the command line and the setting that it overrides. */
const FLAGS = [
  { of: 'profile', flag: '--profile', path: 'profile' },
  { of: 'backend', flag: '--backend', path: 'backend' },
  { of: 'listenAddress', flag: '--web.listen-address', path: 'web.listen_address' },
  { of: 'webConfigFile', flag: '--web.config.file', path: 'web.config_file' },
  { of: 'requestsInFlightMax', flag: '--web.max-requests', path: 'web.requests_in_flight_max' },
  { of: 'logLevel', flag: '--log.level', path: 'log.level' },
  { of: 'logFormat', flag: '--log.format', path: 'log.format' },
  { of: 'processMetrics', flag: '--no-process-metrics', path: 'process_metrics' },
  { of: 'bpfStats', flag: '--bpf-stats', path: 'bpf_stats' },
  { of: 'strict', flag: '--strict', path: 'strict' },
] as const;

type Tree = { readonly [key: string]: unknown };

/** File and flags together; throws `ConfigError`. */
export function effectiveConfig(flags: ConfigFlags = {}): Config {
  const problems: string[] = [];
  const fromFile = fileSettings(flags.configFile, problems);
  const fromFlags = flagSettings(flags, problems);
  if (problems.length > 0) throw new ConfigError(problems);

  // Each part is valid by now, and no rule spans two settings: what they make together is, too.
  const checked = checkSettings(merged(fromFile, fromFlags));
  if ('problems' in checked) {
    throw new ConfigError(checked.problems.map(({ path, message }) => `${path}: ${message}`));
  }
  return checked.config;
}

function fileSettings(file: string | undefined, problems: string[]): unknown {
  if (file === undefined) return undefined;
  const { settings, problems: syntax, usable } = readSettingsFile(file);
  // An empty path names no place: the flag does.
  const where = file === '' ? '--config.file' : file;
  for (const problem of syntax) problems.push(`${where}: ${problem}`);
  if (!usable) return undefined;
  const checked = checkSettings(settings);
  if ('problems' in checked) {
    for (const { path, message } of checked.problems) {
      problems.push([where, path, message].filter((part) => part !== '').join(': '));
    }
  } else if (checked.config.web.config_file !== undefined) {
    // In a file, a path is meant from that file; on the command line, from where that is typed.
    const config_file = resolve(dirname(file), checked.config.web.config_file);
    return merged(settings, { web: { config_file } });
  }
  return settings;
}

function flagSettings(flags: ConfigFlags, problems: string[]): unknown {
  let settings: unknown = {};
  for (const { of, path } of FLAGS) {
    const value = flags[of];
    if (value !== undefined) settings = merged(settings, nested(path.split('.'), typed(value)));
  }
  const checked = checkSettings(settings);
  if ('problems' in checked) {
    for (const { path, message } of checked.problems) {
      problems.push(`${FLAGS.find((flag) => flag.path === path)?.flag}: ${message}`);
    }
  }
  return merged(settings, probeSettings(flags.probes, problems));
}

function probeSettings(only: readonly string[] | undefined, problems: string[]): unknown {
  if (only === undefined || only.length === 0) return {};
  const ids = CATALOGUE.map(({ id }) => id);
  for (const id of only) {
    if (ids.includes(id)) continue;
    const guess = didYouMean(id, ids) || `, expected one of ${alternatives(ids)}`;
    problems.push(`--probe: unknown probe ${JSON.stringify(id)}${guess}`);
  }
  return {
    probes: Object.fromEntries(ids.map((id) => [id, { enabled: only.includes(id) }])),
  };
}

/** The command line has only text; what looks like a number is meant as one. */
function typed(value: string | boolean): string | number | boolean {
  return typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value;
}

function nested(path: readonly string[], value: unknown): unknown {
  return path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);
}

/** `over` wins, key by key; a mapping without content counts as an empty one. */
function merged(under: unknown, over: unknown): unknown {
  if (!isTree(over)) return over === undefined ? under : over;
  const base = isTree(under) ? under : {};
  // By own keys alone: every mapping inherits a `constructor`.
  const own = new Map(Object.entries(base));
  const upper = new Map(Object.entries(over));
  const keys = new Set([...own.keys(), ...upper.keys()]);
  return Object.fromEntries([...keys].map((key) => [key, merged(own.get(key), upper.get(key))]));
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
