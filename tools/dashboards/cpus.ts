// Interrupts and CPUs: which CPU does the work of receiving, and whether it is spread.

import { heat, history, lines, single } from './charts.ts';
import { dashboard } from './frame.ts';
import { steps } from './panel.ts';
import { ONE_HOST, otherDevices, quantile, rate, sumRate } from './queries.ts';
import { grid, matrix } from './tables.ts';

const OF_DEVICE = `device=~"$device",${ONE_HOST}`;
/** The host's network interrupts; all others are summed as device="". */
const OF_CARDS = `device!="",${OF_DEVICE}`;
/** On a machine of many CPUs those without a label of their own are one sum: no CPU's load. */
const CPU = `cpu!="(other)",${ONE_HOST}`;
const NET_RX = rate('rxscope_softirqs_total', `vector="NET_RX",${CPU}`);
const SOFTIRQ_SECONDS = rate('rxscope_cpu_seconds_total', `mode="softirq",${CPU}`);

export const cpus = dashboard({
  uid: 'rxscope-cpus',
  title: 'rxscope / Interrupts and CPUs',
  description:
    'One host: which CPUs take the interrupts and the softirqs of receiving, and whether the load is spread.',
  hosts: 'one',
  devices: true,
  rows: [
    {
      id: 10,
      title: 'Is it spread?',
      panels: [
        single({
          id: 11,
          alert: 'RxscopeNetRxImbalance',
          title: 'NET_RX: busiest CPU / average',
          unit: 'short',
          width: 6,
          expr: `max(${NET_RX}) / avg(${NET_RX})`,
          // Of two CPUs one that does everything is at 2.
          thresholds: steps([1.5, 'orange'], [4, 'red']),
          reading:
            '1: every CPU runs as many NET_RX softirqs. As many as there are CPUs: one does all the work.',
          remedy:
            'Spread the interrupts of the card over more CPUs (smp_affinity), add queues (`ethtool -L`), or use RPS.',
        }),
        single({
          id: 12,
          alert: 'RxscopeSoftirqBusy',
          title: 'Busiest CPU in softirqs',
          unit: 'percentunit',
          width: 6,
          expr: `max(${SOFTIRQ_SECONDS})`,
          thresholds: steps([0.4, 'orange'], [0.8, 'red']),
          reading: 'The share of its time that the busiest CPU spends in softirqs.',
          remedy: 'Above 40 % latency suffers, near 100 % packets are lost: spread the queues.',
        }),
        single({
          id: 13,
          alert: 'RxscopeInterruptStorm',
          title: 'Interrupts of the busiest CPU',
          unit: 'cps',
          width: 6,
          expr: `max(sum by (cpu) (${rate('rxscope_interrupts_total', CPU)}))`,
          thresholds: steps([50_000, 'orange'], [100_000, 'red']),
          reading: 'Device interrupts a second on the CPU that has most of them, of all devices.',
          remedy: 'Above 100,000 coalesce more (`ethtool -C DEV rx-usecs N`), which costs latency.',
        }),
        single({
          id: 14,
          alert: 'RxscopeNetRxSqueezed',
          title: 'Squeezed',
          unit: 'cps',
          width: 6,
          expr: sumRate('rxscope_softnet_times_squeezed_total', ONE_HOST),
          thresholds: steps([1, 'orange'], [100, 'red']),
          reading: 'Times a second that NET_RX ended with work left, all CPUs.',
          remedy: 'Raise net.core.netdev_budget and netdev_budget_usecs, or spread the queues.',
        }),
        matrix({
          id: 15,
          title: 'Interrupts by queue and CPU',
          unit: 'cps',
          width: 12,
          height: 10,
          rows: 'interrupt',
          columns: 'CPU',
          order: ['irq', 'cpu'],
          expr: `sum by (interrupt, irq, CPU, cpu) (\n${interruptsNamed(rate('rxscope_interrupts_total', OF_CARDS))}\n)`,
          reading:
            'A row for each interrupt of a card: device, queue if it is one’s, number. A column for each CPU. Red is busy: a good layout is a diagonal, one queue a CPU; a red column is one CPU that does it all.',
          when: 'uneven',
          remedy:
            'Write other CPUs to /proc/irq/N/smp_affinity_list, N being the number; irqbalance may move it back.',
        }),
        history({
          id: 16,
          title: 'Interrupts by queue and CPU over time',
          unit: 'cps',
          width: 12,
          height: 10,
          query: {
            expr: `sum by (interrupt, CPU) (\n${interruptsNamed(rate('rxscope_interrupts_total', OF_CARDS))}\n) > 0`,
            legend: '{{interrupt}} → {{CPU}}',
          },
          reading:
            'A line for each interrupt and CPU where it came, redder the more. A line that ends where another begins: the interrupt was moved.',
          when: 'uneven',
          remedy: 'Find who moves it (irqbalance, tuned), or spread it as told on the left.',
        }),
      ],
    },
    {
      id: 20,
      title: 'Softirqs',
      panels: [
        heat({
          id: 21,
          alert: 'RxscopeNetRxImbalance',
          title: 'NET_RX by CPU',
          unit: 'cps',
          width: 12,
          of: { expr: `sum by (cpu) (${NET_RX})`, legend: '{{cpu}}' },
          reading:
            'A row for each CPU, a column for each moment, brighter the more NET_RX softirqs ran. Even brightness is a spread load; one bright row is not.',
          when: 'uneven',
          remedy:
            'See Interrupts by queue and CPU: NET_RX runs where the interrupt came, unless RPS moves it.',
        }),
        heat({
          id: 22,
          title: 'Time in softirqs by CPU',
          unit: 'percentunit',
          width: 12,
          max: 1,
          of: { expr: `sum by (cpu) (${SOFTIRQ_SECONDS})`, legend: '{{cpu}}' },
          reading:
            'The same by the share of each CPU’s time that softirqs take. The brightest is all of it: a dark panel is an idle one.',
          when: 'uneven',
          remedy:
            'A bright row above 40 %: move queues, or what else runs on that CPU, away from it.',
        }),
        lines({
          id: 23,
          title: 'Time in interrupts, softirqs, stolen',
          unit: 'percentunit',
          width: 8,
          queries: [
            {
              expr: `max by (mode) (${rate('rxscope_cpu_seconds_total', CPU)})`,
              legend: 'busiest CPU, {{mode}}',
            },
            {
              expr: `avg by (mode) (${rate('rxscope_cpu_seconds_total', CPU)})`,
              legend: 'average, {{mode}}',
            },
          ],
          reading:
            'The busiest CPU and the average of all. `steal`: the hypervisor ran something else.',
          remedy: 'Busiest far above average: spread. Steal: ask for another host or a pinned CPU.',
        }),
        lines({
          id: 24,
          title: 'Softirqs by vector',
          unit: 'cps',
          width: 8,
          queries: [
            { expr: sumRate('rxscope_softirqs_total', ONE_HOST, ['vector']), legend: '{{vector}}' },
          ],
          reading: 'Softirqs a second, all CPUs.',
          remedy:
            'NET_RX far above the packets received: small batches, which cost CPU and save latency.',
        }),
        lines({
          id: 25,
          title: 'Wait for a softirq (P99)',
          unit: 's',
          width: 8,
          logarithmic: true,
          queries: [
            {
              expr: quantile(0.99, 'softirq_raise_to_entry', ONE_HOST, ['vector']),
              legend: '{{vector}}',
            },
          ],
          reading: 'From a vector’s raise to its handler’s entry.',
          remedy:
            'Softirqs starve: a real-time task, interrupts off, ksoftirqd behind other tasks.',
        }),
        lines({
          id: 26,
          title: 'How long a softirq takes (P99)',
          unit: 's',
          width: 8,
          logarithmic: true,
          queries: [
            {
              expr: quantile(0.99, 'softirq_duration', ONE_HOST, ['vector']),
              legend: '{{vector}}',
            },
          ],
          reading:
            'From entry to exit of a vector’s handler. Needs the probe softirq_duration, which is off by default.',
          remedy:
            'Whatever else waits for that CPU waits as long: lower netdev_budget_usecs, or spread.',
        }),
        lines({
          id: 27,
          title: 'How long an interrupt handler takes (P99)',
          unit: 's',
          width: 8,
          logarithmic: true,
          queries: [
            {
              expr: otherDevices(quantile(0.99, 'hardirq_duration', ONE_HOST, ['device'])),
              legend: '{{device}}',
            },
          ],
          reading:
            'From entry to exit of a device’s handler; others: disks, timers and all else that is no network device.',
          remedy: 'It holds up everything else on its CPU: move that interrupt elsewhere.',
        }),
        lines({
          id: 28,
          title: 'Context switches',
          unit: 'cps',
          width: 8,
          queries: [
            { expr: sumRate('rxscope_context_switches_total', ONE_HOST), legend: 'all CPUs' },
          ],
          reading: 'Context switches a second, all CPUs.',
          remedy:
            'Above 50,000 together with latency: readers wake up for single packets; read in batches.',
        }),
      ],
    },
    {
      id: 30,
      title: 'Backlog and RPS',
      panels: [
        lines({
          id: 31,
          title: 'Packets handled by CPU',
          unit: 'pps',
          width: 8,
          stacked: true,
          queries: [byCpu('rxscope_softnet_processed_total')],
          reading: 'Packets that each CPU took from its devices and its backlog.',
          when: 'uneven',
          remedy: 'Spread interrupts, or let RPS hand packets to idle CPUs.',
        }),
        lines({
          id: 32,
          alert: 'RxscopeNetRxSqueezed',
          title: 'Squeezed by CPU',
          unit: 'cps',
          width: 8,
          queries: [byCpu('rxscope_softnet_times_squeezed_total')],
          reading: 'Times that NET_RX on this CPU ended with work left.',
          remedy: 'On one CPU: spread. On all: raise net.core.netdev_budget.',
        }),
        lines({
          id: 33,
          title: 'Dropped from the backlog by CPU',
          unit: 'pps',
          width: 8,
          queries: [byCpu('rxscope_softnet_dropped_total')],
          reading: 'Packets that the full backlog of this CPU refused.',
          remedy: 'Too many hands give to this CPU: widen rps_cpus, or raise netdev_max_backlog.',
        }),
        lines({
          id: 34,
          title: 'Woken by RPS',
          unit: 'cps',
          width: 8,
          queries: [byCpu('rxscope_softnet_received_rps_total')],
          reading: 'Interrupts from other CPUs that hand packets to this one.',
          remedy: 'RPS beside enough queues costs and gains nothing: turn it off, or use RFS.',
        }),
        lines({
          id: 35,
          title: 'Backlog by CPU',
          unit: 'short',
          width: 8,
          limit: 'limit',
          queries: [
            {
              expr: `max by (cpu) (rxscope_softnet_backlog_packets{${ONE_HOST}})`,
              legend: 'CPU {{cpu}}',
            },
            { expr: `max(rxscope_netdev_backlog_packets_max{${ONE_HOST}})`, legend: 'limit' },
          ],
          reading: 'Packets in each CPU’s backlog at the moment of the scrape.',
          remedy: 'That CPU cannot keep up with what loopback, veth or RPS hand to it.',
        }),
        grid({
          id: 36,
          title: 'Settings',
          unit: 'none',
          width: 8,
          columns: [
            { name: 'NET_RX packets', expr: setting('rxscope_netdev_budget_packets') },
            { name: 'NET_RX time', expr: setting('rxscope_netdev_budget_seconds'), unit: 's' },
            { name: 'backlog', expr: setting('rxscope_netdev_backlog_packets_max') },
            { name: 'RFS flows', expr: setting('rxscope_rps_sock_flow_entries') },
          ],
          reading:
            'net.core.netdev_budget, netdev_budget_usecs, netdev_max_backlog and rps_sock_flow_entries.',
          when: 'not what you expect',
          remedy: 'Set them with sysctl, and in /etc/sysctl.d/ to keep them.',
        }),
        grid({
          id: 37,
          title: 'Devices',
          unit: 'none',
          width: 24,
          height: 6,
          columns: [
            { name: 'device' },
            { name: 'driver' },
            { name: 'kind' },
            { name: 'bus' },
            { name: 'numa_node' },
            {
              name: 'present',
              hidden: true,
              expr: `max by (device, driver, kind, bus, numa_node) (rxscope_device_info{${OF_DEVICE}})`,
            },
          ],
          reading: 'Each device with its driver and the NUMA node that its card is on.',
          when: 'not what you expect',
          remedy: 'CPUs that take a card’s interrupts should be of its node.',
        }),
      ],
    },
  ],
});

/** With labels to read: `eth0 queue 0 (irq 38)`, `eth0 (irq 37)`, and `CPU 1`. */
function interruptsNamed(query: string): string {
  const joined = `label_join(${query}, "joined", ";", "device", "queue", "irq")`;
  const ofQueue = `label_replace(${joined}, "interrupt", "$1 queue $2 (irq $3)", "joined", "(.*);(.+);(.*)")`;
  const named = `label_replace(${ofQueue}, "interrupt", "$1 (irq $2)", "joined", "(.*);;(.*)")`;
  return `label_replace(${named}, "CPU", "CPU $1", "cpu", "(.*)")`;
}

function byCpu(metric: string) {
  return { expr: sumRate(metric, ONE_HOST, ['cpu']), legend: 'CPU {{cpu}}' };
}

function setting(metric: string): string {
  return `max(${metric}{${ONE_HOST}})`;
}
