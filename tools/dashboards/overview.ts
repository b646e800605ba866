// Overview: is this fleet healthy? Latency against budget by probe, drops by reason, worst hosts.

import { PROBES } from '../../src/probes/index.ts';
import type { Probe } from '../../src/probes/probe.ts';
import { lines, single } from './charts.ts';
import { dashboard } from './frame.ts';
import { steps, variable } from './panel.ts';
import {
  FLEET,
  IDS,
  lost,
  overBudgetShare,
  perProbe,
  quantile,
  rate,
  sumRate,
  worstRatio,
} from './queries.ts';
import { grid } from './tables.ts';

const HOST = ['job', 'instance'];

/** Opens another dashboard for the host of a row, over the same time. */
const HOST_URL = `/d/rxscope-path?${[
  `var-datasource=${variable('datasource')}`,
  `var-job=${variable('__data.fields.job:percentencode')}`,
  `var-instance=${variable('__data.fields.instance:percentencode')}`,
  variable('__url_time_range'),
].join('&')}`;

const RECEIVED = sumRate('rxscope_received_packets_total', FLEET);

const P99_TO_BUDGET = {
  name: 'P99 / budget',
  of: 'P99',
  to: 'budget',
  unit: 'percentunit',
  thresholds: steps([1, 'orange'], [5, 'red']),
} as const;

export const overview = dashboard({
  uid: 'rxscope-overview',
  title: 'rxscope / Overview',
  description:
    'Is this fleet healthy? Latency of each step of a received packet against its budget, drops, and the hosts to look at first.',
  hosts: 'any',
  devices: false,
  rows: [
    {
      id: 10,
      title: 'Now',
      panels: [
        single({
          id: 11,
          alert: 'RxscopeAgentDown',
          title: 'Agents up',
          unit: 'short',
          width: 4,
          expr: `sum(up{${FLEET}})`,
          thresholds: [
            { value: null, color: 'red' },
            { value: 1, color: 'green' },
          ],
          reading: 'Agents that answered the last scrape.',
          when: 'low',
          remedy:
            'See which are down in the table of hosts, then `systemctl status rxscope` there.',
        }),
        single({
          id: 12,
          alert: 'RxscopeAgentDown',
          title: 'Agents down',
          unit: 'short',
          width: 4,
          expr: `count(up{${FLEET}}) - sum(up{${FLEET}})`,
          thresholds: steps([1, 'red']),
          reading:
            'Targets of the job that did not answer the last scrape. What they measure is unknown.',
          remedy:
            'Look at the targets page of Prometheus for the reason, then at the log of the agent.',
        }),
        single({
          id: 13,
          alert: 'RxscopeProbeDown',
          title: 'Probes down',
          unit: 'short',
          width: 4,
          expr: `count(rxscope_probe_up{${FLEET}}) - sum(rxscope_probe_up{${FLEET}})`,
          thresholds: steps([1, 'orange']),
          reading:
            'Probes that are switched on and could not be attached: their panels lack those hosts.',
          remedy:
            'Run `rxscope probes` on the host: it says why each way of attaching was refused.',
        }),
        single({
          id: 14,
          title: 'Packets received',
          unit: 'pps',
          width: 4,
          expr: RECEIVED,
          thresholds: steps(),
          reading: 'Packets that entered the protocols, all hosts and devices.',
          when: 'not what you expect',
          remedy:
            'A fall to nothing is a fault too: look at drops and at the interrupts of the hosts.',
        }),
        single({
          id: 15,
          alert: 'RxscopeDrops',
          title: 'Packets lost',
          unit: 'percentunit',
          width: 4,
          expr: `${lost(FLEET)} / ${RECEIVED}`,
          thresholds: steps([0.0001, 'orange'], [0.01, 'red']),
          reading:
            'Packets dropped for reasons that mean loss, and by cards, as a share of those received. Firewalls and scans of closed ports are not in it: the runbook lists the reasons.',
          remedy: 'Above 0.01 % find the reason in Drops by reason, then open Drops and queues.',
        }),
        single({
          id: 16,
          alert: 'RxscopeLatencyHigh',
          title: 'Worst P99 / budget',
          unit: 'percentunit',
          width: 4,
          expr: `max(\n${worstRatio(FLEET)}\n)`,
          thresholds: steps([1, 'orange'], [5, 'red']),
          reading:
            'The highest P99 of any probe on any host, as a share of its budget. 100 % is at the budget.',
          remedy: 'Find the host in the table below and open its path.',
        }),
      ],
    },
    {
      id: 50,
      title: 'Hosts',
      panels: [
        grid({
          id: 51,
          title: 'Worst hosts',
          unit: 'short',
          width: 24,
          sortBy: ['up', '-P99 / budget'],
          columns: [
            { name: 'instance', link: { title: 'Path of this host', url: HOST_URL } },
            { name: 'job' },
            {
              name: 'up',
              expr: `max by (job, instance) (up{${FLEET}})`,
              words: { 0: 'down', 1: 'up' },
              thresholds: [
                { value: null, color: 'red' },
                { value: 1, color: 'green' },
              ],
            },
            {
              name: 'P99 / budget',
              expr: worstRatio(FLEET),
              unit: 'percentunit',
              thresholds: steps([1, 'orange'], [5, 'red']),
            },
            {
              name: 'over budget',
              expr: sumRate('rxscope_over_budget_total', FLEET, HOST),
              unit: 'cps',
            },
            {
              name: 'received',
              expr: sumRate('rxscope_received_packets_total', FLEET, HOST),
              unit: 'pps',
            },
            {
              name: 'lost',
              expr: lost(FLEET, HOST),
              unit: 'pps',
              thresholds: steps([1, 'orange']),
            },
            {
              name: 'squeezed',
              expr: sumRate('rxscope_softnet_times_squeezed_total', FLEET, HOST),
              unit: 'cps',
            },
            {
              name: 'busiest CPU in softirqs',
              expr: `max by (job, instance) (${rate('rxscope_cpu_seconds_total', `mode="softirq",cpu!="(other)",${FLEET}`)})`,
              unit: 'percentunit',
              thresholds: steps([0.4, 'orange'], [0.8, 'red']),
            },
          ],
          reading:
            'A row for each host: first those that are down, of which nothing else is known, then the worst: by the highest P99 as a share of the budget, over all probes.',
          remedy:
            'Click on a host to see its path. Many hosts at once point to a change that all had; one host alone to its own load.',
        }),
      ],
    },
    {
      id: 20,
      title: 'Latency against budget',
      panels: [
        grid({
          id: 21,
          title: 'Probes of all hosts',
          unit: 's',
          width: 12,
          height: 10,
          columns: [
            { name: 'probe' },
            { name: 'P50', expr: perProbe((id) => quantile(0.5, id, FLEET)) },
            { name: 'P99', expr: perProbe((id) => quantile(0.99, id, FLEET)) },
            { name: 'P99.9', expr: perProbe((id) => quantile(0.999, id, FLEET)) },
            { name: 'budget', expr: `min by (probe) (rxscope_budget_seconds{${FLEET}})` },
            {
              name: 'over budget',
              expr: overBudgetShare(FLEET),
              unit: 'percentunit',
              thresholds: steps([0.001, 'orange'], [0.01, 'red']),
            },
          ],
          ratio: P99_TO_BUDGET,
          sortBy: ['-over budget'],
          reading:
            'One row for each probe, over all hosts selected: the one that is over its budget most comes first, idle ones last. Quantiles are within 9.1 % with native histograms, within a factor of two with classic ones. The budget is the lowest where hosts differ.',
          remedy:
            'A P99 beyond the budget with a low P50 is a tail: look for the hosts that have it. A high P50 is everywhere: look at coalescing and power states.',
        }),
        lines({
          id: 22,
          alert: 'RxscopeBudgetBurn',
          title: 'Observations over budget',
          unit: 'percentunit',
          width: 12,
          height: 10,
          queries: [{ expr: overBudgetShare(FLEET), legend: '{{probe}}' }],
          reading:
            'The share of each probe’s observations that took longer than its budget; exact, counted in the kernel.',
          remedy:
            'More than 1 % means that the P99 is over budget. Probes on bpftrace do not count it and are missing here.',
        }),
        ...PROBES.filter(({ enabled }) => enabled).map(againstBudget),
      ],
    },
    {
      id: 40,
      title: 'Drops',
      panels: [
        lines({
          id: 41,
          alert: 'RxscopeDrops',
          title: 'Drops by reason',
          unit: 'pps',
          width: 12,
          stacked: true,
          many: true,
          queries: [
            { expr: sumRate('rxscope_drops_total', FLEET, ['reason']), legend: '{{reason}}' },
          ],
          reading:
            'Packets that kernels freed undelivered on the receive path, by the kernel’s own reason.',
          remedy:
            'SOCKET_RCVBUFF: a slow reader or a small buffer. CPU_BACKLOG: a busy CPU. NO_SOCKET: nobody listens. NETFILTER_DROP: a rule, often on purpose.',
        }),
        lines({
          id: 42,
          title: 'Hosts that lose most',
          unit: 'pps',
          width: 12,
          many: true,
          queries: [
            {
              expr: `topk(10, ${lost(FLEET, HOST)})`,
              legend: '{{instance}}',
            },
          ],
          reading:
            'The ten hosts that lose most packets, by cards and for reasons that mean loss, each packet once.',
          remedy:
            'Open Drops and queues for the host: one host alone points to its reader or its card.',
        }),
      ],
    },
    {
      id: 30,
      title: 'Probes that are off by default',
      collapsed: true,
      panels: PROBES.filter(({ enabled }) => !enabled).map(againstBudget),
    },
  ],
});

function againstBudget(probe: Probe) {
  const { id, whenHigh } = probe;
  const quantiles: readonly (readonly [string, number])[] = [
    ['P50', 0.5],
    ['P99', 0.99],
    ['P99.9', 0.999],
  ];
  return lines({
    id: 60 + IDS.indexOf(id),
    alert: 'RxscopeLatencyHigh',
    title: id,
    unit: 's',
    width: 8,
    logarithmic: true,
    limit: 'budget',
    queries: [
      ...quantiles.map(([legend, q]) => ({ expr: quantile(q, id, FLEET), legend })),
      { expr: `min(rxscope_budget_seconds{probe="${id}",${FLEET}})`, legend: 'budget' },
    ],
    reading: `From ${probe.from} to ${probe.to}. Quantiles over all hosts selected; the dashed line is the budget.`,
    remedy: whenHigh,
  });
}
