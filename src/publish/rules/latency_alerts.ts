// Alerts on late packets. The thresholds are the agents' own budgets, so that a budget is set once. A
// minimum of observations keeps an idle host quiet.

import { PROBES } from '../../probes/index.ts';
import type { Alert } from './model.ts';
import { recorded } from './recorded.ts';
import { BY_VECTOR } from './recording.ts';
import { DAY, HOUR, MINUTE, series, type Terms, WINDOW } from './terms.ts';

/** Other vectors than the receive path's hold the CPU, but are never idle: seen, not alerted on. */
const RECEIVE_VECTOR = 'vector=~"(NET_RX)?"';

const WHERE = [
  '{{ $labels.probe }}',
  '{{ with $labels.device }} on {{ . }}{{ end }}',
  '{{ with $labels.protocol }}, {{ . }},{{ end }}',
  '{{ with $labels.vector }}, {{ . }},{{ end }}',
  ' at {{ $labels.instance }}',
].join('');

/** The budget as the agent has it now. */
const BUDGET =
  '{{ with printf "rxscope_budget_seconds{job=%q,instance=%q,probe=%q}" $labels.job $labels.instance $labels.probe | query }}{{ . | first | value | humanizeDuration }}{{ end }}';

export function latencyAlerts(terms: Terms): Alert[] {
  return [latencyHigh(terms), budgetBurn(terms)];
}

function latencyHigh(terms: Terms): Alert {
  const names = recorded(terms);
  const above = (budget: string): string => `(
  ${series(terms, names.quantile('p99'), RECEIVE_VECTOR)}
  > ignoring (device, protocol, vector) group_left ()
  ${budget}
)
and
${series(terms, names.observations)} >= ${terms.threshold('rateMin')}`;
  const budget = series(terms, 'rxscope_budget_seconds');
  const holds = terms.time(2 * MINUTE);
  return {
    name: 'RxscopeLatencyHigh',
    conditions: [
      { severity: 'warning', expr: above(budget), holds },
      {
        severity: 'critical',
        expr: above(`(${terms.threshold('criticalFactor')} * ${budget})`),
        holds,
      },
    ],
    summary: 'Received packets are later than their budget.',
    description: `P99 of ${WHERE} is {{ $value | humanizeDuration }}; its budget is ${BUDGET}.`,
    runbook: {
      meaning: `One observation in a hundred took longer than the probe’s budget (critical: than ${terms.threshold('criticalFactor')} × the budget), for minutes, with at least ${terms.threshold('rateMin')} observations a second. With classic histograms P99 is interpolated between bounds that are a factor of two apart; the share over budget is exact in any case, and above 1 % where P99 is over its budget. The label \`probe\` says on which part of a packet’s way:\n\n${readings()}`,
      look: [
        'Which probes are high together? `irq_to_softirq` and `softirq_raise_to_entry` with low others: the softirq comes late. `softirq_to_socket` with a low `receive_to_socket`: batches. `receive_to_socket` alone: rules, routes or a socket’s lock.',
        'P50 high as well, and flat: coalescing, which holds all packets. Two humps in the histogram: power states, a periodic neighbour, or RPS to a cold CPU.',
        'The outliers: always the same CPU, port or reader?',
        'What began at that time: a deployment, other interrupts, context switches (more than 50,000 a second beside latency peaks are a sign), a load above 60 to 70 % of capacity, beyond which the tail explodes.',
      ],
      commands: [
        'rxscope record --duration 30s                    # histogram and quantiles of each probe',
        'curl -s http://127.0.0.1:10750/api/v1/outliers   # the recent ones, with CPU, port and reader',
        'rxscope trace softirq_delay                      # who is left to ksoftirqd, on which CPU',
        'rxscope trace lock_sock                          # who holds a socket’s lock',
        'ethtool -c eth0                                  # rx-usecs, adaptive-rx',
        'cat /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor',
        'nft list ruleset | wc -l',
      ],
      changes: [
        {
          change: 'coalescing: `ethtool -C eth0 adaptive-rx off rx-usecs 10`',
          costs:
            'CPU: in one documented case 15 to 35 % for a P95 from 198 to 45 µs, together with the next two',
        },
        {
          change: 'governor `performance`, no deep C-states (`cpupower idle-set -D 10`)',
          costs: 'power and heat',
        },
        { change: 'GRO off for that device: `ethtool -K eth0 gro off`', costs: 'CPU for bulk TCP' },
        {
          change: 'NAPI budget 64 to 100: `sysctl net.core.netdev_budget=100`',
          costs: 'throughput; 600 to 1000 is for throughput, 300 the default',
        },
        {
          change: 'priority or CPU of the task in the way (`chrt`, `taskset`, systemd slices)',
          costs: 'that task gets less',
        },
        {
          change: 'nft sets or ipset in place of long rule lists (a rule takes about 0.2 µs)',
          costs: 'a rewrite of the rules',
        },
        {
          change: 'a higher budget in the agent’s configuration, if the application can bear it',
          costs: 'none, where it is true',
        },
      ],
    },
  };
}

function readings(): string {
  const rows = PROBES.map(({ id, whenHigh }) => `| \`${id}\` | ${whenHigh} |`);
  return ['| probe | what a high value says |', '|---|---|', ...rows].join('\n');
}

function budgetBurn(terms: Terms): Alert {
  const names = recorded(terms);
  const probes = `probe!~"${BY_VECTOR.join('|')}"`;
  const allowed = `(1 - ${terms.threshold('objective')})`;
  type Window = Parameters<typeof names.overBudgetRatio>[0];
  /** Over a long window, still over a short one, and the long one is filled. */
  const burns = (factor: number, long: Window, short: Window): string => `(
  ${series(terms, names.overBudgetRatio(long), probes)} > ${factor} * ${allowed}
  and
  ${series(terms, names.overBudgetRatio(short), probes)} > ${factor} * ${allowed}
  and
  ${series(terms, names.overBudget)} offset ${terms.time(long)}
)`;
  const busy = `sum without (protocol, vector) (${series(terms, names.observations)}) >= ${terms.threshold('rateMin')}`;
  const [hour, day] = [terms.time(HOUR), terms.time(DAY)];
  return {
    name: 'RxscopeBudgetBurn',
    conditions: [
      {
        severity: 'critical',
        expr: `(\n${burns(14.4, HOUR, WINDOW)}\nor\n${burns(6, 6 * HOUR, 30 * MINUTE)}\n)\nand\n${busy}`,
        holds: terms.time(2 * MINUTE),
      },
      {
        severity: 'warning',
        expr: `(\n${burns(3, DAY, 2 * HOUR)}\nor\n${burns(1, 3 * DAY, 6 * HOUR)}\n)\nand\n${busy}`,
        holds: terms.time(15 * MINUTE),
      },
    ],
    summary: 'Too large a share of packets is over budget, for a long time.',
    description: `{{ $value | humanizePercentage }} of what {{ $labels.probe }}{{ with $labels.device }} on {{ . }}{{ end }} at {{ $labels.instance }} observed was over its budget of ${BUDGET}; {{ ${terms.threshold('objective')} | humanizePercentage }} are to be within.`,
    runbook: {
      meaning: `${terms.percent('objective')} of the observations are to be within the probe’s budget. What may be over it is being used up too fast: 14.4 × as fast as it may be over ${hour}, or 6 × over ${terms.time(6 * HOUR)} (critical); 3 × over ${day}, or at all over ${terms.time(3 * DAY)} (warning). A short window beside each long one lets the alert end soon after the cause. It says nothing until the agent has run for the whole window. Probes by softirq vector are left out, since their vectors share one count.`,
      look: [
        'The share over budget by host, device and probe: one host, or all since a change?',
        'Its shape over days: steady, with the load, or at fixed hours (backups, log rotation, cron)?',
        'From there on as for RxscopeLatencyHigh.',
      ],
      commands: ['rxscope record --duration 60s', 'curl -s http://127.0.0.1:10750/api/v1/outliers'],
      changes: [
        { change: 'those of RxscopeLatencyHigh', costs: 'see there' },
        { change: 'move the periodic neighbour to other CPUs or hours', costs: 'its time' },
        { change: 'a budget, or an objective, that is meant', costs: 'none, where it is true' },
      ],
    },
  };
}
