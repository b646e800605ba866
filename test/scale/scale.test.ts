// Hundreds of hosts, simulated from a real agent's exposition, in one real Prometheus with the rules: every host
// is there, the bad ones are found and no other, and the fleet's quantiles are those of all observations merged.
// A thousand take most of two CPUs at this pace: `npm run bench scale` has them.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SCHEMA } from '../../src/histogram/bounds.ts';
import { rulesYaml } from '../../src/publish/rules/files.ts';
import { STANDARD_OPTIONS } from '../../src/publish/rules/options.ts';
import { processCpuMs, residentMb } from '../bench/machine.ts';
import { startAgent } from '../e2e/agent_process.ts';
import { DASHBOARD_FILES, EXAMPLES, interpolated, queriesOf } from '../publish/dashboards.ts';
import { rulesOf } from '../publish/rule_files.ts';
import { exactQuantiles, liveHosts } from './exact.ts';
import { Fleet } from './fleet.ts';
import { realTemplate } from './real_template.ts';
import { FAULTS, faultOf, instanceOf, type SimulatedHost } from './simulated_host.ts';
import { probeOf, type Template } from './template.ts';

const INTERVAL_SECONDS = 5;
/** Six scrapes; the rules' short window is two fifths of it. */
const WINDOW_SECONDS = 30;
const START_MS = 240_000;
const POLL_MS = 45_000;
/** By how much of what lies above it a rank may be off. */
const RANK = 0.02;
const RULES = rulesYaml({ ...STANDARD_OPTIONS, windowMs: WINDOW_SECONDS * 1000 });

/** A native bucket, and a classic one: the factor that an interpolated quantile may be off by. */
const SETTINGS = [
  { form: 'native', hosts: 200, bucket: 2 ** (1 / 2 ** SCHEMA) },
  { form: 'classic', hosts: 100, bucket: 2 },
] as const;

/** In the order of the columns of Overview's table. */
const QUANTILES = [
  ['p50', 0.5],
  ['p99', 0.99],
  ['p999', 0.999],
] as const;

let template: Template;
const fleets = new Map<string, Fleet>();

beforeAll(async () => {
  const agent = await startAgent();
  ({ template } = await realTemplate(agent.url));
  await agent.stop();
  for (const { form, hosts } of SETTINGS) {
    const options = { hosts, template, rules: RULES, intervalSeconds: INTERVAL_SECONDS };
    fleets.set(form, await Fleet.start({ ...options, native: form === 'native' }));
  }
}, START_MS);

afterAll(async () => {
  await Promise.all([...fleets.values()].map((fleet) => fleet.stop()));
});

describe.each(SETTINGS)('$hosts hosts, $form histograms', ({ form, hosts, bucket }) => {
  let fleet: Fleet;
  let live: SimulatedHost[];
  let exact: Map<string, number[]>;
  let startedMs: number;

  beforeAll(async () => {
    const started = fleets.get(form);
    if (started === undefined) throw new Error('the fleet has not been started');
    fleet = started;
    live = liveHosts(template, hosts);
    const all = template.families.filter(({ type }) => type === 'histogram').map(probeOf);
    // A quiet machine has no device interrupt while the template is taken.
    const probes = all.filter((probe) => live.some((host) => host.values_ns(probe).length > 0));
    if (probes.length < all.length)
      console.log(`nothing was observed of ${all.filter((one) => !probes.includes(one)).join()}`);
    // Hosts are scraped one after the other, so their rates' weights differ by up to a scrape's delay.
    const qs = QUANTILES.flatMap(([, q]) => [-1, 0, 1].map((side) => q + side * RANK * (1 - q)));
    exact = new Map(probes.map((probe) => [probe, exactQuantiles(live, probe, qs)]));
    startedMs = performance.now();
    await fleet.until(
      'the bad hosts have their alerts, and no other host has any',
      START_MS,
      async () => {
        const [found, wanted] = [new Set(await alerts()), new Set(expectedAlerts(hosts))];
        const absent = [...wanted].filter((one) => !found.has(one));
        const needless = [...found].filter((one) => !wanted.has(one));
        return absent.length + needless.length === 0 ? undefined : { absent, needless };
      },
    );
    // The first rates are of the hosts that were scraped first.
    await fleet.until('the rules have seen all hosts for a while', START_MS, async () => {
      const names = recordedNames();
      const found = await Promise.all(names.map(hostsOf));
      const partial = names.flatMap((name, i) =>
        found[i] === live.length ? [] : [`${name}: ${found[i]} of ${live.length} hosts`],
      );
      if (partial.length > 0) return partial;
      const off = (await deviations()).filter((one) => worstOf([one]) > bucket);
      return off.length === 0 ? undefined : off;
    });
  }, 2 * START_MS);

  /**
   * `instance alert severity`, pending or firing: how long each must hold is for promtool to test. Late hosts
   * burn their budget, too, once the test has run for the rules' hour, six minutes here.
   */
  async function alerts(): Promise<string[]> {
    const found = await fleet.query(
      'group by (instance, alertname, severity) (ALERTS{alertname!="RxscopeBudgetBurn"})',
    );
    return found
      .map(({ metric }) => `${metric.instance} ${metric.alertname} ${metric.severity}`)
      .sort();
  }

  function hostsOf(name: string): Promise<number> {
    return fleet.value(`count(count by (instance) (${name}))`);
  }

  /** Of each quantile of each probe, in Overview's table and as recorded. */
  async function deviations(): Promise<Deviation[]> {
    const all = await Promise.all(
      QUANTILES.flatMap(([name], at) =>
        Object.entries(queriesFor(name, at)).map(async ([way, query]) => {
          const samples = await fleet.query(query);
          const found = new Map(
            samples.map(({ metric, value }) => [metric.probe, Number(value[1])]),
          );
          return [...exact].map(([probe, quantiles]) => {
            const [low = NaN, is = NaN, high = NaN] = quantiles.slice(3 * at);
            const answer = found.get(probe) ?? 0;
            const nearest = Math.min(Math.max(answer, low), high);
            const what = `${way} ${name} ${probe}`;
            return { what, exact: is, off: answer / is, outside: answer / nearest };
          });
        }),
      ),
    );
    return all.flat();
  }

  test('every host is up but those that do not answer, and every rule works', async () => {
    expect(await fleet.value('rxscope_fleet:up:count')).toBe(hosts);
    await expect
      .poll(() => fleet.value('rxscope_fleet:up:sum'), { timeout: POLL_MS })
      .toBe(live.length);
    const groups = await fleet.ruleGroups();
    const broken = groups.flatMap(({ rules }) =>
      rules
        .filter(({ health }) => health !== 'ok')
        .map((rule) => `${rule.name}: ${rule.lastError}`),
    );
    expect(broken).toEqual([]);
    expect(await fleet.own('prometheus_rule_evaluation_failures_total')).toBe(0);
  });

  test('what is recorded by host is recorded of every host', async () => {
    const names = recordedNames();
    expect(names).toContain('rxscope:latency_seconds:p99');
    for (const name of names)
      await expect.poll(() => hostsOf(name), { timeout: POLL_MS, message: name }).toBe(live.length);
  });

  test('the bad hosts have their alerts, and no other host has any', async () => {
    // A scrape that came too late on a busy machine is forgotten with the next.
    await expect.poll(alerts, { timeout: POLL_MS }).toEqual(expectedAlerts(hosts));
  });

  test('the fleet’s quantiles are those of all observations, within a bucket', async () => {
    let found: Deviation[] = [];
    await expect
      .poll(
        async () => {
          found = await deviations();
          return worstOf(found);
        },
        { timeout: POLL_MS },
      )
      .toBeLessThanOrEqual(bucket);
    const lines = found.map(({ what, exact, off }) => {
      return `${what}: ${(exact * 1e6).toFixed(2)} µs × ${off.toFixed(4)}`;
    });
    console.log(`${form}, exact and how far off:\n${lines.join('\n')}`);
    expect(found.length).toBe(2 * QUANTILES.length * exact.size);
    expect(exact.size).toBeGreaterThan(3);
  });

  test('what it costs, printed', async () => {
    const seconds = (performance.now() - startedMs) / 1000;
    const exposed = await fleet.value('sum(scrape_samples_post_metric_relabeling) / sum(up)');
    const recorded = await fleet.value('count({__name__=~"rxscope.*:.*"})');
    const groups = (await fleet.ruleGroups()).toSorted(
      (a, b) => b.evaluationTime - a.evaluationTime,
    );
    const slowest = groups
      .slice(0, 3)
      .map((one) => `${one.name} ${one.evaluationTime.toFixed(2)} s`);
    const { prometheusPid: prometheus, serverPid: server } = fleet;
    console.log(
      [
        `${hosts} hosts, ${form}, scraped and evaluated every ${INTERVAL_SECONDS} s, after ${seconds.toFixed(0)} s:`,
        `series a host: ${exposed.toFixed(0)} scraped, ${(recorded / hosts).toFixed(0)} recorded`,
        `Prometheus: ${residentMb(prometheus).highest.toFixed(0)} MB, ${(processCpuMs(prometheus) / 1000).toFixed(1)} s CPU; the simulator ${(processCpuMs(server) / 1000).toFixed(1)} s`,
        `slowest groups: ${slowest.join(', ')}; ${await fleet.own('prometheus_rule_group_iterations_missed_total')} iterations missed`,
      ].join('\n'),
    );
    expect(exposed).toBeGreaterThan(100);
  });
});

interface Deviation {
  readonly what: string;
  readonly exact: number;
  /** The factor by which Prometheus' answer is another one. */
  readonly off: number;
  /** The same, beyond the quantiles of the ranks beside it. */
  readonly outside: number;
}

function worstOf(deviations: readonly Deviation[]): number {
  return Math.max(...deviations.map(({ outside }) => Math.max(outside, 1 / outside)));
}

function queriesFor(name: string, column: number): { dashboard: string; recorded: string } {
  const queries = DASHBOARD_FILES.flatMap(queriesOf);
  const place = `rxscope-overview 21 ${'ABC'[column]} `;
  const expr = queries.find((query) => query.place.startsWith(place))?.expr ?? '';
  const values = { ...EXAMPLES, instance: '.*', __rate_interval: `${WINDOW_SECONDS}s` };
  return {
    dashboard: interpolated(expr, values),
    recorded: `rxscope_fleet:latency_seconds:${name}`,
  };
}

/** What is recorded of each host. */
function recordedNames(): string[] {
  const names = rulesOf(RULES).map(({ record = '' }) => record);
  return [...new Set(names.filter((name) => /^rxscope(_host)?:/.test(name)))];
}

function expectedAlerts(hosts: number): string[] {
  return Array.from({ length: hosts }, (_, host) => host)
    .flatMap((host) => {
      const fault = faultOf(host);
      return (fault === undefined ? [] : FAULTS[fault].alerts).map(
        (one) => `${instanceOf(host)} ${one}`,
      );
    })
    .sort();
}
