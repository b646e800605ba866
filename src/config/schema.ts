// What the configuration may say, as zod schemas, and the `Config` that comes out of them.
// Keys are those of the YAML file; only durations and addresses change their form.
// Reads no file and knows no flag: see load.ts.

import * as z from 'zod';
import { CATALOGUE, probeOf } from '../probes/index.ts';
import type { CatalogueEntry } from '../probes/probe.ts';
import { PROFILE_NAMES } from '../probes/profiles.ts';
import { ADDRESS_SYNTAX, parseAddress } from './address.ts';
import { checkDuration } from './duration.ts';
import { gotExpected } from './problem.ts';
import { expecting, flag, oneOf, problemsIn, type SettingProblem, section } from './shapes.ts';

/** Below lies the cost of measuring itself: every observation would be an outlier. */
const BUDGET_MIN_NS = 1_000;
/** The highest histogram bound: a longer time is counted as a fault, never as a latency. */
const BUDGET_MAX_NS = 16_000_000_000;

const settings = section({
  /** Sets the budgets that the file does not state; see src/probes/profiles.ts. */
  profile: oneOf(PROFILE_NAMES).optional(),
  probes: section(Object.fromEntries(CATALOGUE.map((entry) => [entry.id, probeSection(entry)]))),
  /** `auto` takes libbpf, and bpftrace for a probe that libbpf cannot measure here. */
  backend: oneOf(['auto', 'libbpf', 'bpftrace']).default('auto'),
  labels: section({
    /** A histogram for each CPU; `auto`: only while the series stay under `series_max`. */
    cpu: oneOf(['auto', 'always', 'never']).default('auto'),
  }),
  /** Slots for network devices in each CPU's histograms; memory grows with it. */
  devices_max: powerOfTwo(4, 64).default(16),
  /** Cap on all series of a scrape; what lies beyond is summed, see src/metrics/series_cap.ts. */
  series_max: wholeNumber(1_000, 1_000_000).default(2_000),
  /** Outlier events on their way from the kernel. */
  events: section({
    /** The kernel drops and counts what one CPU sends beyond it. */
    per_cpu_per_second: wholeNumber(1, 100_000).default(100),
    /** Size of each CPU's perf ring buffer, in pages of 4 KiB. */
    pages_per_cpu: powerOfTwo(1, 1_024).default(8),
  }),
  /** Recent outliers kept in memory for exemplars and listings; the oldest is dropped. */
  outliers_kept: wholeNumber(1, 10_000).default(100),
  web: section({
    listen_address: address().default({ host: '127.0.0.1', port: 10_750 }),
    /** TLS, users and headers; see web_config.ts. */
    config_file: path().optional(),
    /** Requests past it are answered with 503. */
    requests_in_flight_max: wholeNumber(1, 1_000).default(40),
  }),
  log: section({
    level: oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace']).default('info'),
    /** `auto`: pretty on a terminal, JSON lines elsewhere. */
    format: oneOf(['auto', 'json', 'pretty']).default('auto'),
  }),
  /** The agent's own process_* and nodejs_* metrics. */
  process_metrics: flag().default(true),
  /** Keeps the kernel's BPF statistics on while the agent lives; about 25 ns more a program run. */
  bpf_stats: flag().default(false),
  /** Fail at start when something cannot be measured, instead of serving what can. */
  strict: flag().default(false),
});

type Settings = z.output<typeof settings>;

interface ProbeConfig {
  readonly enabled: boolean;
  /** 0 for what is no latency. */
  readonly budget_ns: number;
}

/** The configuration in effect: every setting has a value, every probe has a budget. */
export type Config = Readonly<Omit<Settings, 'probes'>> & {
  /** One entry for each probe of the catalogue, in its order. */
  readonly probes: Readonly<Record<string, ProbeConfig>>;
};

/** Checks what a file or the flags say, as plain data; reports every problem, not the first. */
export function checkSettings(
  raw: unknown,
): { readonly config: Config } | { readonly problems: readonly SettingProblem[] } {
  const result = settings.safeParse(raw);
  return result.success
    ? { config: withBudgets(result.data) }
    : { problems: problemsIn(result.error, settings) };
}

/** A stated budget wins over the profile's, the profile's over the probe's own default. */
function withBudgets(given: Settings): Config {
  const configOf = ({ id, ...entry }: CatalogueEntry): ProbeConfig => {
    const { enabled = entry.enabled, budget } = (given.probes[id] ?? {}) as GivenProbe;
    const probe = probeOf(id);
    const usual =
      given.profile === undefined ? probe?.budget_ns : probe?.profileBudgets_ns[given.profile];
    return { enabled, budget_ns: budget ?? usual ?? 0 };
  };
  return {
    ...given,
    probes: Object.fromEntries(CATALOGUE.map((entry) => [entry.id, configOf(entry)])),
  };
}

interface GivenProbe {
  readonly enabled?: boolean;
  readonly budget?: number;
}

function probeSection({ id, enabled }: CatalogueEntry) {
  const onOff = flag().default(enabled);
  if (probeOf(id) === undefined) return section({ enabled: onOff });
  return section({
    enabled: onOff,
    /** Observations above it are counted and reported as outliers. */
    budget: z
      .unknown()
      .transform((value, context) => {
        const duration = checkDuration(value, BUDGET_MIN_NS, BUDGET_MAX_NS);
        if ('ns' in duration) return duration.ns;
        context.addIssue({ code: 'custom', message: gotExpected(value, duration.expected) });
        return z.NEVER;
      })
      .optional(),
  });
}

function wholeNumber(min: number, max: number) {
  const error = expecting(`a whole number from ${min} to ${max}`);
  return z.number({ error }).int({ error }).min(min, { error }).max(max, { error });
}

function powerOfTwo(min: number, max: number) {
  const error = expecting(`a power of two from ${min} to ${max}`);
  return z
    .number({ error })
    .min(min, { error })
    .max(max, { error })
    .refine((value) => Number.isInteger(Math.log2(value)), { error });
}

function path() {
  const error = expecting('the path of a file');
  return z.string({ error }).min(1, { error });
}

function address() {
  const error = expecting(ADDRESS_SYNTAX);
  return z.string({ error }).transform((text, context) => {
    const parsed = parseAddress(text);
    if (parsed !== undefined) return parsed;
    context.addIssue({ code: 'custom', message: gotExpected(text, ADDRESS_SYNTAX) });
    return z.NEVER;
  });
}
