// How long the rules take from a fault's beginning to an alert and from its end to silence, on promtool's
// clock, with the times that they have by default. The README tells users, from this table.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { formatDuration } from '../../src/publish/rules/duration.ts';
import { ruleGroups } from '../../src/publish/rules/files.ts';
import { STANDARD_OPTIONS } from '../../src/publish/rules/options.ts';
import { scratch } from '../e2e/scratch.ts';
import { textOf } from '../repo/project_files.ts';
import { ALERTS_FOLDER } from './rule_files.ts';

/** Of scrapes and of evaluations, which promtool makes at the same time. */
const EVERY_S = 15;
/** Those of alertmanager.example.yaml, which are Alertmanager's own defaults. */
const GROUP_WAIT_S = 30;
/** Healthy, faulty and healthy again, for longer than any window or `for`. */
const [BEGIN_S, END_S, LAST_S] = [1200, 2400, 3600];
const TARGET = 'job="rxscope",instance="a:10750"';
const PACKETS_PER_S = 600;

interface Fault {
  /** As the README calls it. */
  readonly fault: string;
  readonly alert: string;
  readonly severity: 'warning' | 'critical';
  /** Share of the packets that are lost, or late, while the fault lasts. */
  readonly share: number;
  /** From the fault's beginning, just after a scrape, to the evaluation in which the alert fires. */
  readonly firesS: number;
  /** From its end, just after a scrape, to the first evaluation in which it does not. */
  readonly endsS: number;
}

const late = { alert: 'RxscopeLatencyHigh', severity: 'warning' } as const;
const full = { alert: 'RxscopeSocketBufferFull' } as const;
const lost = 'of the packets find a socket’s buffer full';
const FAULTS: readonly Fault[] = [
  { ...late, fault: 'half of the observations are late', share: 0.5, firesS: 135, endsS: 300 },
  { ...late, fault: '5 % are late', share: 0.05, firesS: 195, endsS: 240 },
  { ...late, fault: '2 % are late', share: 0.02, firesS: 285, endsS: 150 },
  { ...full, fault: `10 % ${lost}`, severity: 'critical', share: 0.1, firesS: 165, endsS: 270 },
  { ...full, fault: `2 % ${lost}`, severity: 'critical', share: 0.02, firesS: 285, endsS: 150 },
  { ...full, fault: `0.1 % ${lost}`, severity: 'warning', share: 0.001, firesS: 315, endsS: 120 },
];

const { folder } = scratch();

test.each(FAULTS)('$fault: $alert ($severity) is in time', async (one) => {
  const selector = `alertname="${one.alert}",severity="${one.severity}",alertstate="firing"`;
  const fired = `timestamp(ALERTS{${selector}})[${LAST_S}s:${EVERY_S}s]`;
  const times = [
    [`min by (job) (min_over_time(${fired}))`, BEGIN_S + one.firesS],
    [`min by (job) (max_over_time(${fired}))`, END_S + one.endsS - EVERY_S],
  ] as const;
  const file = join(folder, 'times.yaml');
  const tests = [
    {
      interval: `${EVERY_S}s`,
      input_series: seriesOf(one),
      promql_expr_test: times.map(([expr, value]) => ({
        expr,
        eval_time: `${LAST_S}s`,
        exp_samples: [{ labels: '{job="rxscope"}', value }],
      })),
    },
  ];
  const whole = {
    rule_files: [join(ALERTS_FOLDER, 'rxscope.rules.yaml')],
    // Without it promtool takes the groups in no order, and an alert what was recorded the time before.
    group_eval_order: ruleGroups(STANDARD_OPTIONS).map(({ name }) => name),
    evaluation_interval: `${EVERY_S}s`,
    tests,
  };
  // JSON is YAML, too.
  writeFileSync(file, JSON.stringify(whole));
  const { stdout, stderr, exitCode } = await execa('promtool', ['test', 'rules', file], {
    reject: false,
  });
  expect(exitCode, `${stdout}${stderr}`).toBe(0);
});

test('the README tells these times', () => {
  const rows = FAULTS.map(({ fault, alert, severity, firesS, endsS }) => {
    // What is recorded may be up to an interval behind the scrape, and the alert as much behind that.
    const [firing, silent] = [firesS + 2 * EVERY_S, endsS + 2 * EVERY_S];
    const times = [firing, firing + GROUP_WAIT_S, silent];
    const cells = times.map((seconds) => formatDuration(seconds * 1000));
    return `| ${fault} | \`${alert}\`, ${severity} | ${cells.join(' | ')} |`;
  });
  expect(textOf('grafana/README.md')).toContain(rows.join('\n'));
});

function seriesOf({ alert, share }: Fault): { series: string; values: string }[] {
  const series = (name: string, labels: string, values: string) => ({
    series: `${name}{${TARGET},${labels}}`,
    values,
  });
  const packets = counter(1, 1);
  if (alert === 'RxscopeSocketBufferFull')
    return [
      series('rxscope_received_packets_total', 'device="eth0"', packets),
      series('rxscope_drops_total', 'device="eth0",reason="SOCKET_RCVBUFF"', counter(0, share)),
    ];
  const metric = 'rxscope_receive_to_socket_seconds';
  const labels = 'device="eth0",protocol="udp"';
  // Below the budget, or above five times as much.
  const buckets = [
    ['0.000030517578125', counter(1, 1 - share)],
    ['0.000976562500000', counter(1, 1 - share)],
    ['0.001953125', packets],
    ['+Inf', packets],
  ] as const;
  return [
    ...buckets.map(([le, values]) => series(`${metric}_bucket`, `${labels},le="${le}"`, values)),
    series(`${metric}_count`, labels, packets),
    series('rxscope_budget_seconds', 'probe="receive_to_socket"', `0.0001x${LAST_S / EVERY_S}`),
  ];
}

/** A counter at each scrape that rises by these shares of the packets: in health, and during the fault. */
function counter(healthy: number, faulty: number): string {
  let sum = 0;
  const values = Array.from({ length: LAST_S / EVERY_S + 1 }, (_, scrape) => {
    const s = scrape * EVERY_S;
    if (s > 0) sum += PACKETS_PER_S * EVERY_S * (s > BEGIN_S && s <= END_S ? faulty : healthy);
    return Math.round(sum);
  });
  return values.join(' ');
}
