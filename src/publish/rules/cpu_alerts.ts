// Alerts on the CPUs that receive: interrupts, softirq time, balance, budgets used up. CPUs without a label
// of their own (machines of more than 16, unless series_max is raised) are summed and not alerted on.

import type { Alert } from './model.ts';
import { recorded } from './recorded.ts';
import { MINUTE, rate, SHORT_WINDOW, series, type Terms } from './terms.ts';

const ONE_CPU = 'cpu!="(other)"';

export function cpuAlerts(terms: Terms): Alert[] {
  return [interruptStorm(terms), softirqBusy(terms), imbalance(terms), squeezed(terms)];
}

function interruptStorm(terms: Terms): Alert {
  const interrupts = rate(terms, 'rxscope_interrupts_total', ONE_CPU, SHORT_WINDOW);
  return {
    name: 'RxscopeInterruptStorm',
    conditions: [
      {
        severity: 'warning',
        expr: `sum without (irq, device, queue) (${interrupts}) > ${terms.threshold('interruptsMax')}`,
        holds: terms.time(MINUTE),
      },
    ],
    summary: 'A CPU is flooded with interrupts.',
    description:
      'CPU {{ $labels.cpu }} of {{ $labels.instance }} handles {{ $value | humanize }} interrupts a second.',
    runbook: {
      meaning: `All interrupts of one CPU together, timers and those between CPUs included, are more than ${terms.threshold('interruptsMax')} a second. Each takes about a microsecond and more with all that follows, so little else gets done there.`,
      look: [
        'Which line: `rxscope_interrupts_total` by `device`, `queue` and `irq` on that CPU. An empty `device` is no network device: timers, disks, calls between CPUs.',
        'Many packets, or few packets an interrupt (no coalescing)? Compare with `rxscope_interface_receive_packets_total`.',
        'A level-triggered line that nobody serves rises with no traffic at all.',
      ],
      commands: [
        'watch -d -n1 cat /proc/interrupts',
        'ethtool -c eth0                           # rx-usecs, rx-frames, adaptive-rx',
        'grep . /proc/irq/*/smp_affinity_list      # by number of the line',
      ],
      changes: [
        {
          change: 'coalescing: `ethtool -C eth0 adaptive-rx on`, or `rx-usecs 20`',
          costs: 'up to that many microseconds of latency for each packet',
        },
        {
          change: 'more queues (`ethtool -L`), spread over CPUs',
          costs: 'CPUs that applications had',
        },
        {
          change: 'threaded NAPI or busy polling, where the driver can',
          costs: 'a CPU that polls',
        },
      ],
    },
  };
}

function softirqBusy(terms: Terms): Alert {
  return {
    name: 'RxscopeSoftirqBusy',
    conditions: [
      {
        severity: 'warning',
        expr: `${series(terms, recorded(terms).softirqTime)} > ${terms.threshold('softirqMax')}`,
        holds: terms.time(5 * MINUTE),
      },
    ],
    summary: 'A CPU spends much of its time in softirqs.',
    description:
      'CPU {{ $labels.cpu }} of {{ $labels.instance }} is in softirqs for {{ $value | humanizePercentage }} of its time.',
    runbook: {
      meaning: `More than ${terms.percent('softirqMax')} of one CPU’s time goes to softirqs, as a rule to received packets. Near 100 % packets are dropped by the card, and processes of that CPU starve. The opposite is a fault, too: none at all under traffic is starvation.`,
      look: [
        'Which vector: `rxscope_softirqs_total` by `vector` on that CPU; `softirq_duration`, where it is on.',
        'One CPU, or all? One: RxscopeNetRxImbalance says how to spread. All: the host is at its limit, which is planned at 60 to 70 % of capacity.',
        'What each packet costs: netfilter rules, conntrack, tunnels, bridges, packet capture.',
      ],
      commands: [
        'mpstat -P ALL 1 5',
        'watch -d -n1 cat /proc/softirqs',
        'rxscope record --duration 30s --probe napi_poll --probe softirq_duration',
        'perf top -C 3                             # what that CPU does',
      ],
      changes: [
        {
          change: 'spread interrupts and queues; RPS with one queue',
          costs: 'CPUs that applications had',
        },
        {
          change: 'shorter rule lists, nft sets, `notrack` for what needs no state',
          costs: 'a rewrite of the rules',
        },
        {
          change: 'GRO on, larger coalescing',
          costs: 'latency, up to about 1 ms for a packet held by GRO',
        },
        { change: 'move applications to other CPUs', costs: 'where they go to' },
      ],
    },
  };
}

function imbalance(terms: Terms): Alert {
  const names = recorded(terms);
  const packets = series(terms, names.softnetProcessed);
  return {
    name: 'RxscopeNetRxImbalance',
    conditions: [
      {
        severity: 'warning',
        // The value is the share of this CPU; the lesser of the top two is the next busiest.
        expr: `${packets} / ignoring (cpu) group_left () sum without (cpu) (${packets})
and
(
  ${packets}
  > ignoring (cpu) group_left ()
  (${terms.threshold('imbalanceMax')} * min without (cpu) (topk without (cpu) (2, ${packets})))
)
and
${series(terms, names.softirqTime)} > ${terms.threshold('softirqMax')} / 2`,
        holds: terms.time(10 * MINUTE),
      },
    ],
    summary: 'One CPU does the receive work of all.',
    description:
      'CPU {{ $labels.cpu }} of {{ $labels.instance }} processes {{ $value | humanizePercentage }} of all received packets.',
    runbook: {
      meaning: `One CPU takes more than ${terms.threshold('imbalanceMax')} × the packets of the next busiest one, and it matters: it is in softirqs for more than ${terms.percent('softirqMax', 0.5)} of its time. A few CPUs that share the work evenly beside idle ones are a layout and no imbalance. Packets are counted (\`rxscope_softnet_processed_total\`), not NET_RX runs, of which a busy CPU has fewer.`,
      look: [
        'Has the card one queue only, are the interrupts of all queues on one CPU, or is all traffic one flow (a tunnel, one large sender)?',
        'Wi-Fi cards have 16 interrupts that usually all sit on one CPU.',
        'irqbalance moves interrupts behind your back.',
      ],
      commands: [
        'ethtool -l eth0                                      # queues: used and maximum',
        'ethtool -x eth0                                      # which hash goes to which queue',
        'grep . /proc/irq/*/smp_affinity_list',
        'grep . /sys/class/net/*/queues/rx-*/rps_cpus',
      ],
      changes: [
        {
          change: 'more queues: `ethtool -L eth0 combined 8`',
          costs: 'a short loss of link with some drivers',
        },
        {
          change:
            'one queue a CPU, on the card’s NUMA node: `echo 3 > /proc/irq/N/smp_affinity_list`',
          costs: 'those CPUs; not beside NVMe interrupts, nor on siblings of busy hyper-threads',
        },
        {
          change: 'one queue only: RPS, `echo f > /sys/class/net/eth0/queues/rx-0/rps_cpus`',
          costs:
            'an interrupt between CPUs for each batch; useless beside enough hardware queues, refused (EINVAL) with isolated CPUs in the mask',
        },
        {
          change: 'one flow: hash the inner headers, or more tunnels',
          costs: 'set-up at both ends',
        },
      ],
    },
  };
}

function squeezed(terms: Terms): Alert {
  return {
    name: 'RxscopeNetRxSqueezed',
    conditions: [
      {
        severity: 'warning',
        expr: `${rate(terms, 'rxscope_softnet_times_squeezed_total', ONE_CPU)} > ${terms.threshold('squeezesMax')}`,
        holds: terms.time(5 * MINUTE),
      },
    ],
    summary: 'NET_RX often ends with packets left.',
    description:
      'On CPU {{ $labels.cpu }} of {{ $labels.instance }} {{ $value | humanize }} NET_RX runs a second end with work left.',
    runbook: {
      meaning: `NET_RX used up its budget (\`netdev_budget\` packets or \`netdev_budget_usecs\`) with packets left, more than ${terms.threshold('squeezesMax')} times a second on one CPU. The rest waits for the next run, for up to \`netdev_budget_usecs\`, or for ksoftirqd behind other tasks. A few squeezes are normal.`,
      look: [
        'Is P99 of `softirq_to_socket` high as well? If not, it does no harm.',
        'Which ends first, packets or time: few packets a run in 2 ms are slow packets.',
        'The balance over CPUs.',
      ],
      commands: [
        'cat /proc/net/softnet_stat                           # a row a CPU: third column, squeezed',
        'sysctl net.core.netdev_budget net.core.netdev_budget_usecs',
        'rxscope record --duration 30s --probe napi_poll',
      ],
      changes: [
        {
          change:
            'throughput matters: `sysctl net.core.netdev_budget=600`, and `netdev_budget_usecs` in proportion',
          costs: 'other softirqs and tasks of that CPU wait longer',
        },
        { change: 'latency matters: spread the load rather than raise the budget', costs: 'CPUs' },
      ],
    },
  };
}
