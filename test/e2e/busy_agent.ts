// A real agent with every probe on, under real traffic, and every Prometheus that its users may have: each
// version, with native histograms, without, and with both forms. For what is asked of its numbers there.

import { afterAll, beforeAll } from 'vitest';
import { PROBES } from '../../src/probes/index.ts';
import { Lab, RECEIVER } from '../kernel/lab.ts';
import { parseText } from '../metrics/decode.ts';
import {
  type Feature,
  type PrometheusServer,
  startPrometheus,
} from '../metrics/prometheus_server.ts';
import { type PrometheusVersion, prometheusVersions } from '../metrics/prometheus_versions.ts';
import { promqlFacts } from '../publish/promql.ts';
import { type AgentProcess, startAgent } from './agent_process.ts';
import { sendOverLoopback } from './loopback.ts';
import { scratch } from './scratch.ts';

/** The forms that histograms are stored in. */
export type Form = 'native' | 'classic' | 'both';

export interface Setting {
  /** `Prometheus 3.5.3, native`: starts a test's name. */
  readonly title: string;
  readonly version: PrometheusVersion;
  readonly form: Form;
}

export const JOB = 'agents of any name';

/** Every probe on, each CPU apart, and budgets so low that there are outliers. */
const CONFIG = `
probes:
${PROBES.map(({ id }) => `  ${id}: { enabled: true, budget: 1us }`).join('\n')}
labels: { cpu: always }
series_max: 20000
bpf_stats: true
`;

/** Rates need several scrapes, which come each second, with traffic between them. */
const SCRAPES_MIN = 6;
const ROUNDS_MAX = 60;
const START_MS_MAX = 180_000;

/** Call it at the top of a test file, where hooks are registered. Every server gets the rules. */
export function busyAgent(rules: readonly string[] = []) {
  const settings = prometheusVersions().flatMap((version) => {
    // A setting for both came after 2.42.
    const later: readonly Form[] = version.major > 2 ? ['both'] : [];
    const forms: readonly Form[] = ['native', 'classic', ...later];
    return forms.map((form) => ({ title: `${version.name}, ${form}`, version, form }));
  });
  const files = scratch();
  const servers = new Map<string, PrometheusServer>();
  let lab: Lab | undefined;
  let started: AgentProcess | undefined;

  beforeAll(async () => {
    lab = new Lab();
    started = await startAgent(['--config.file', files.write('all.yaml', CONFIG)]);
    const target = new URL(started.url).host;
    await Promise.all(
      settings.map(async (setting) => {
        servers.set(setting.title, await startFor(setting, target, rules));
      }),
    );
    for (let round = 1; round <= ROUNDS_MAX; round++) {
      await traffic(lab);
      const counts = [...servers.values()].map((one) => one.value('sum_over_time(up[1h])'));
      if (round >= SCRAPES_MIN && Math.min(...(await Promise.all(counts))) >= SCRAPES_MIN) return;
    }
    throw new Error(`not every Prometheus scraped ${SCRAPES_MIN} times`);
  }, START_MS_MAX);

  afterAll(async () => {
    await Promise.all([...servers.values()].map((server) => server.stop()));
    await started?.stop();
    lab?.close();
  });

  const agent = (): AgentProcess => {
    if (started === undefined) throw new Error('the agent has not been started');
    return started;
  };
  return {
    settings,
    agent,
    /** HOST:PORT */
    instance: () => new URL(agent().url).host,
    server: ({ title }: Setting): PrometheusServer => {
      const server = servers.get(title);
      if (server === undefined) throw new Error(`${title} has not been started`);
      return server;
    },
  };
}

function startFor(
  { version, form }: Setting,
  target: string,
  rules: readonly string[],
): Promise<PrometheusServer> {
  const features: Feature[] = ['exemplar-storage'];
  if (form !== 'classic') features.push('native-histograms');
  const settings = form === 'both' ? { always_scrape_classic_histograms: true } : {};
  return startPrometheus([{ name: JOB, target, path: '/metrics', settings }], features, {
    rules,
    version,
  });
}

/** About a second of datagrams and segments, over loopback and over veth. */
async function traffic(lab: Lab): Promise<void> {
  await sendOverLoopback(1009);
  for (const protocol of ['udp', 'tcp'] as const) {
    const receiver = lab.receive(protocol, RECEIVER, 5401, 503);
    await receiver.ready;
    await lab.send(protocol, RECEIVER, 5401, 503, { 'gap-us': 500 });
    await receiver.result;
  }
  // Nobody listens there: drops with a reason.
  lab.exec(
    lab.sender,
    'bash',
    '-c',
    `for i in {1..101}; do echo > /dev/udp/${RECEIVER}/5999; done || :`,
  );
}

/** What Prometheus itself adds to each target. */
const OF_PROMETHEUS = [
  'up',
  'scrape_duration_seconds',
  'scrape_samples_scraped',
  'scrape_series_added',
];
const TARGET_LABELS = ['job', 'instance'];

/** Labels of each series' name in a text exposition; native histograms go by the name without an end. */
export function labelsByMetric(body: Uint8Array): Map<string, Set<string>> {
  const found = new Map(OF_PROMETHEUS.map((name) => [name, new Set<string>()]));
  const { series, types } = parseText(body, 'text');
  for (const key of series.keys()) {
    const [name, pairs] = JSON.parse(key) as [string, [string, string][]];
    const base = name.replace(/_(bucket|sum|count)$/, '');
    for (const one of types.get(base) === 'histogram' ? [name, base] : [name]) {
      const labels = found.get(one) ?? new Set();
      for (const [label] of pairs) labels.add(label);
      found.set(one, labels);
    }
  }
  return found;
}

/** Metrics, matchers and labels of a query that no series has. */
export function unknownIn(
  query: string,
  known: ReadonlyMap<string, ReadonlySet<string>>,
): readonly string[] {
  const { selections, labels, made } = promqlFacts(query);
  const allowed = new Set([...TARGET_LABELS, ...made, 'le']);
  const unknown: string[] = [];
  for (const { metric, matchers } of selections) {
    const own = known.get(metric);
    if (own === undefined) unknown.push(metric);
    for (const label of own ?? []) allowed.add(label);
    const ofMetric = [...TARGET_LABELS, ...(own ?? [])];
    unknown.push(
      ...matchers.filter((one) => !ofMetric.includes(one)).map((one) => `${metric}{${one}}`),
    );
  }
  return [...unknown, ...labels.filter((label) => !allowed.has(label)).map((one) => `by (${one})`)];
}
