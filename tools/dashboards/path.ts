// Path: one host's way of a packet. Where the time goes, stage by stage, then each probe as a heatmap,
// by its labels and by CPU.

import { PROBES } from '../../src/probes/index.ts';
import { labelsOf, type Probe } from '../../src/probes/probe.ts';
import { heat, lines, single, waterfall } from './charts.ts';
import { dashboard } from './frame.ts';
import { steps } from './panel.ts';
import {
  buckets,
  group,
  IDS,
  labelled,
  lost,
  mean,
  ONE_HOST,
  observations,
  otherDevices,
  overBudgetShare,
  perProbe,
  quantile,
  sumRate,
  worstRatio,
} from './queries.ts';
import { grid } from './tables.ts';

const ON_DEVICE = `${ONE_HOST},device=~"$device"`;

/** The stages of the way, in its order; numbered, for a chart sorts by name. */
const STAGES = [
  'irq_to_softirq',
  'softirq_to_socket',
  'backlog_wait',
  'receive_to_socket',
  'socket_to_read',
  'wakeup_to_run',
] as const;
type Stage = (typeof STAGES)[number];

/**
 * When each stage begins, as sums and differences of mean latencies, in seconds after the interrupt.
 * softirq_to_socket and receive_to_socket end together, at the socket; backlog_wait ends where
 * receive_to_socket begins; the reader's two begin at the socket.
 */
const BEGINNINGS: Readonly<Record<Stage, readonly (readonly ['+' | '-', Stage])[]>> = {
  irq_to_softirq: [],
  softirq_to_socket: [['+', 'irq_to_softirq']],
  backlog_wait: [
    ['+', 'irq_to_softirq'],
    ['+', 'softirq_to_socket'],
    ['-', 'receive_to_socket'],
    ['-', 'backlog_wait'],
  ],
  receive_to_socket: [
    ['+', 'irq_to_softirq'],
    ['+', 'softirq_to_socket'],
    ['-', 'receive_to_socket'],
  ],
  socket_to_read: [
    ['+', 'irq_to_softirq'],
    ['+', 'softirq_to_socket'],
  ],
  wakeup_to_run: [
    ['+', 'irq_to_softirq'],
    ['+', 'softirq_to_socket'],
  ],
};

export const path = dashboard({
  uid: 'rxscope-path',
  title: 'rxscope / Path',
  description:
    'One host: where a received packet’s time goes between the interrupt and the application, and who is late.',
  hosts: 'one',
  devices: true,
  rows: [
    {
      id: 10,
      title: 'The way of a packet',
      panels: [
        single({
          id: 11,
          title: 'Packets received',
          unit: 'pps',
          width: 6,
          expr: sumRate('rxscope_received_packets_total', ON_DEVICE),
          thresholds: steps(),
          reading: 'Packets that entered the protocols by the devices selected.',
          when: 'not what you expect',
          remedy: 'Look at Drops and queues, and whether the interrupts still come.',
        }),
        single({
          id: 12,
          alert: 'RxscopeLatencyHigh',
          title: 'Worst P99 / budget',
          unit: 'percentunit',
          width: 6,
          expr: worstRatio(ONE_HOST),
          thresholds: steps([1, 'orange'], [5, 'red']),
          reading: 'The highest P99 of any probe as a share of its budget; all devices.',
          remedy:
            'Find the probe in the table below; its row further down shows since when, and where.',
        }),
        single({
          id: 13,
          alert: 'RxscopeBudgetBurn',
          title: 'Over budget',
          unit: 'cps',
          width: 6,
          expr: sumRate('rxscope_over_budget_total', ONE_HOST),
          thresholds: steps([1, 'orange']),
          reading: 'Observations of any probe that took longer than its budget, a second.',
          remedy:
            '`/api/v1/outliers` of the agent lists the latest, each with all that is known of it.',
        }),
        single({
          id: 14,
          alert: 'RxscopeDrops',
          title: 'Packets lost',
          unit: 'pps',
          width: 6,
          expr: lost(ON_DEVICE),
          thresholds: steps([1, 'orange']),
          reading:
            'Packets dropped by the card, or by the kernel for a reason that means loss, each counted once.',
          remedy: 'Open Drops and queues for the reason.',
        }),
        waterfall({
          id: 15,
          title: 'Waterfall of mean latencies',
          unit: 's',
          width: 12,
          height: 10,
          label: 'stage',
          start: STAGES.map((stage, index) => named(index, stage, beginning(stage))).join('\nor\n'),
          length: STAGES.map((stage, index) =>
            named(index, stage, group(mean(stage, selectorOf(stage)))),
          ).join('\nor\n'),
          reading:
            'From the interrupt, on the left, to the reader: each bar is a stage, as long as it takes on average, and begins where the packet has come so far. Stages overlap: receive_to_socket is the last part of softirq_to_socket. Means add up; quantiles, in the table, do not. A stage without a bar is off or idle.',
          remedy:
            'The longest bar is where to look first. Open its row below: a long tail and a shift of everything have different causes.',
        }),
        grid({
          id: 16,
          title: 'Probes',
          unit: 's',
          width: 12,
          height: 10,
          columns: [
            { name: 'probe' },
            { name: 'P50', expr: perProbe((id) => quantile(0.5, id, selectorOf(id))) },
            { name: 'P99', expr: perProbe((id) => quantile(0.99, id, selectorOf(id))) },
            { name: 'P99.9', expr: perProbe((id) => quantile(0.999, id, selectorOf(id))) },
            { name: 'budget', expr: `max by (probe) (rxscope_budget_seconds{${ONE_HOST}})` },
            {
              name: 'over budget',
              expr: overBudgetShare(ONE_HOST),
              unit: 'percentunit',
              thresholds: steps([0.001, 'orange'], [0.01, 'red']),
            },
            {
              name: 'observed',
              expr: perProbe((id) => observations(id, selectorOf(id))),
              unit: 'cps',
            },
          ],
          sortBy: ['-over budget'],
          ratio: {
            name: 'P99 / budget',
            of: 'P99',
            to: 'budget',
            unit: 'percentunit',
            thresholds: steps([1, 'orange'], [5, 'red']),
          },
          reading:
            'Each probe’s quantiles on the devices selected; over budget is of all devices. Few observations make a P99.9 of chance.',
          remedy:
            'softirq_to_socket high with receive_to_socket low: batches. Both high: rules or a locked socket. socket_to_read high: a slow reader.',
        }),
      ],
    },
    ...PROBES.filter(({ enabled }) => enabled).map((probe) => rowOf(probe)),
    ...PROBES.filter(({ enabled }) => !enabled).map((probe) => rowOf(probe)),
    {
      id: 90,
      title: 'The books',
      panels: [
        lines({
          id: 91,
          title: 'Received and not measured',
          unit: 'cps',
          width: 16,
          many: true,
          queries: [
            {
              expr: `${sumRate('rxscope_unmatched_total', ONE_HOST, ['probe', 'cause'])} > 0`,
              legend: '{{probe}} {{cause}}',
            },
          ],
          reading:
            'received = observed + unmatched + pending: what each probe saw and could not use, by the event behind it. Bare acknowledgements (no_payload) are usual.',
          remedy:
            'table_full and clock should stay 0. A high socket_backlog is a reader that holds its socket’s lock: run `rxscope trace lock_sock`.',
        }),
        lines({
          id: 92,
          title: 'Pending packets',
          unit: 'short',
          width: 8,
          queries: [{ expr: `max(rxscope_pending_packets{${ONE_HOST}})`, legend: 'pending' }],
          reading:
            'Packets received whose end is still open: on a socket’s backlog, or in a batch.',
          remedy:
            'If it keeps growing, a process holds its socket’s lock; see `rxscope trace lock_sock`.',
        }),
      ],
    },
  ],
});

/** A probe's own row: heatmap, by its labels, by CPU. What is off by default is folded up. */
function rowOf(probe: Probe) {
  const { id, enabled, whenHigh } = probe;
  const selector = selectorOf(id);
  const labels = labelsOf(probe);
  const first = 100 + 10 * IDS.indexOf(id);
  return {
    id: first,
    title: enabled ? id : `${id} (off by default)`,
    ...(enabled ? {} : { collapsed: true as const }),
    panels: [
      heat({
        id: first + 1,
        title: `${id}: distribution`,
        unit: 's',
        width: 10,
        of: buckets(id, selector),
        reading: `From ${probe.from} to ${probe.to}. Each column is a moment, brighter where more observations are; dots are outliers over budget, with CPU, process and port. Two bands are two different ways.`,
        remedy: whenHigh,
      }),
      lines({
        id: first + 2,
        alert: 'RxscopeLatencyHigh',
        title: `${id}: P99 by ${labels.join(' and ')}`,
        unit: 's',
        width: 7,
        logarithmic: true,
        limit: 'budget',
        queries: [
          {
            expr: named99(id, selector, labels),
            legend: labels.map((label) => `{{${label}}}`).join(' '),
            exemplars: true,
          },
          { expr: `max(rxscope_budget_seconds{probe="${id}",${ONE_HOST}})`, legend: 'budget' },
        ],
        reading: `P99 for each ${labels.join(' and ')}; the dashed line is the budget, dots are outliers.`,
        remedy: whenHigh,
      }),
      lines({
        id: first + 3,
        title: `${id}: P99 by CPU`,
        unit: 's',
        width: 7,
        logarithmic: true,
        queries: [{ expr: quantile(0.99, id, selector, ['cpu']), legend: 'CPU {{cpu}}' }],
        reading:
          'P99 for each CPU: one line without a number where the agent has no series for each CPU (its setting `labels.cpu`).',
        remedy:
          'One CPU far above the others is busy with something else: see Interrupts and CPUs for what it does.',
      }),
    ],
  };
}

/** P99 by the probe's labels; disks and timers have interrupts, too. */
function named99(id: string, selector: string, labels: readonly string[]): string {
  const query = quantile(0.99, id, selector, labels);
  return id === 'hardirq_duration' ? otherDevices(query) : query;
}

/** Only probes that have a device can be asked for one. */
function selectorOf(id: string): string {
  const probe = PROBES.find((one) => one.id === id);
  return probe !== undefined && labelsOf(probe).includes('device') ? ON_DEVICE : ONE_HOST;
}

function named(index: number, stage: Stage, query: string): string {
  return labelled('stage', `${index + 1} ${stage}`, query);
}

/** The sum of those terms that have observations: a probe that is off or idle shifts nothing. */
function beginning(stage: Stage): string {
  const terms = BEGINNINGS[stage].map(([sign, other]) => term(sign === '+' ? 1 : -1, other));
  // A stage before which nothing was observed begins at 0.
  const own = BEGINNINGS[stage].some(([, other]) => other === stage) ? [] : [term(0, stage)];
  return `clamp_min(sum(\n${[...terms, ...own].join('\nor\n')}\n), 0)`;
}

function term(factor: number, stage: Stage): string {
  const observed = group(`${group(mean(stage, selectorOf(stage)))} >= 0`);
  return labelled('of', stage, `${factor} * ${observed}`);
}
