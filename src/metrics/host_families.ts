// The families about the host beside the packets: CPUs, interrupts, interfaces, settings. Pure. CPUs
// without a label of their own are summed here (shown_cpus.ts); everything else is left to the cap.

import type { CpuSeconds } from '../host/cpu_times.ts';
import {
  type ByCpu,
  type DeviceFacts,
  type HostReading,
  hasHardware,
  type InterruptCounts,
} from '../host/host_reading.ts';
import type { Link, LinkStatistic } from '../host/links.ts';
import { SOFTNET_COUNTS, type SoftnetCount } from '../host/softnet.ts';
import type { Family, Labels, ScalarSample } from './model.ts';
import type { ShownCpus } from './shown_cpus.ts';

/** By member of SoftnetRow: the family and its help. */
const SOFTNET: Readonly<Record<SoftnetCount, readonly [name: string, help: string]>> = {
  processed: [
    'rxscope_softnet_processed_total',
    'Packets that the CPU handed to the protocols; one on a VLAN, bond or bridge counts once for each device.',
  ],
  dropped: [
    'rxscope_softnet_dropped_total',
    "Packets dropped because the CPU's backlog was full, those of rxscope_softnet_flow_limit_total included.",
  ],
  timesSqueezed: [
    'rxscope_softnet_times_squeezed_total',
    'NET_RX runs that ended with work left, their budget or time used up.',
  ],
  receivedRps: [
    'rxscope_softnet_received_rps_total',
    'Times that another CPU woke this one by an interrupt to process packets (RPS).',
  ],
  flowLimit: [
    'rxscope_softnet_flow_limit_total',
    'Packets dropped by the flow limit of a CPU that is nearly overloaded.',
  ],
};

const MODES = ['irq', 'softirq', 'steal'] as const;

/** By the names of struct rtnl_link_stats64. Drivers differ in which of them they count, and twice. */
const DROP_COUNTERS: readonly LinkStatistic[] = [
  'rx_dropped',
  'rx_missed_errors',
  'rx_over_errors',
  'rx_fifo_errors',
  'rx_nohandler',
  'rx_otherhost_dropped',
];
/** The first is the sum of what the driver counts as bad, the others are kinds of it. */
const ERROR_COUNTERS: readonly LinkStatistic[] = [
  'rx_errors',
  'rx_length_errors',
  'rx_crc_errors',
  'rx_frame_errors',
];

/** With no more pairs of interrupt and CPU than this, those at 0 have rows, too. */
const INTERRUPT_ROWS_WITH_ZEROS_MAX = 250;

export interface HostFamilies {
  readonly families: Family[];
  /** Label sets that share cpu="(other)" with others, by family: for SeriesCap.apply. */
  readonly foldedCpus: ReadonlyMap<string, number>;
}

/** `seriesMax`: what the cap on series leaves at most: of rows with 0 no more are made. */
export function hostFamilies(
  reading: HostReading,
  shown: ShownCpus,
  seriesMax = Number.POSITIVE_INFINITY,
): HostFamilies {
  shown.add(reading.cpus, reading.softirqs.get('NET_RX'));
  const byCpu = new CpuFamilies(reading.cpus, shown);
  const families = [
    ...SOFTNET_COUNTS.map((count) => {
      const [name, help] = SOFTNET[count];
      return byCpu.counter(name, help, [[{}, reading.softnet.get(count)]]);
    }),
    byCpu.gauge(
      'rxscope_softnet_backlog_packets',
      "Packets waiting in the CPU's backlog now.",
      reading.backlogPackets,
    ),
    byCpu.counter(
      'rxscope_softirqs_total',
      'Runs of each softirq vector.',
      [...reading.softirqs].map(([vector, runs]) => [{ vector }, runs]),
    ),
    byCpu.counter(
      'rxscope_cpu_seconds_total',
      'Time that the CPU spent in interrupts (irq), in softirqs, and waiting for its hypervisor (steal), as the kernel accounts for it.',
      MODES.map((mode) => [{ mode }, secondsOf(reading.cpuSeconds, mode)]),
    ),
    scalar('counter', 'rxscope_context_switches_total', 'Context switches of all CPUs.', [
      reading.contextSwitches,
    ]),
    interruptFamily(reading.interrupts, byCpu, shown),
    ...linkFamilies(reading, seriesMax),
    ...factFamilies(reading),
  ];
  return { families, foldedCpus: byCpu.folded };
}

/** Sums up what CPUs without a label of their own have. */
class CpuFamilies {
  readonly folded = new Map<string, number>();
  readonly #cpus: readonly number[];
  readonly #shown: ShownCpus;

  constructor(cpus: readonly number[], shown: ShownCpus) {
    this.#cpus = cpus;
    this.#shown = shown;
  }

  /** Every CPU of the reading has a row, if with 0; none has where nothing could be read. */
  counter(
    name: string,
    help: string,
    rows: readonly (readonly [Labels, ByCpu | undefined])[],
  ): Family {
    this.folded.set(name, this.#shown.others * rows.length);
    const samples = rows.flatMap(([labels, values]) =>
      values === undefined || values.size === 0 ? [] : this.#samples(labels, this.#cpus, values),
    );
    return { type: 'counter', name, help, samples };
  }

  /** A CPU that is offline has no row. */
  gauge(name: string, help: string, values: ByCpu): Family {
    this.folded.set(name, this.#shown.others);
    return { type: 'gauge', name, help, samples: this.#samples({}, [...values.keys()], values) };
  }

  #samples(labels: Labels, cpus: readonly number[], values: ByCpu): ScalarSample[] {
    const sums = new Map<string, number>();
    for (const cpu of cpus) {
      const label = this.#shown.label(cpu);
      sums.set(label, (sums.get(label) ?? 0) + (values.get(cpu) ?? 0));
    }
    return Array.from(sums, ([cpu, value]) => ({ labels: { ...labels, cpu }, value }));
  }
}

function secondsOf(times: HostReading['cpuSeconds'], mode: keyof CpuSeconds): ByCpu {
  return new Map(Array.from(times, ([cpu, seconds]) => [cpu, seconds[mode]]));
}

function interruptFamily(
  { cpus, sources, others }: InterruptCounts,
  byCpu: CpuFamilies,
  shown: ShownCpus,
): Family {
  const name = 'rxscope_interrupts_total';
  const labels = [...new Set(cpus.map((cpu) => shown.label(cpu)))];
  const at = cpus.map((cpu) => labels.indexOf(shown.label(cpu)));
  const withZeros = sources.length * labels.length <= INTERRUPT_ROWS_WITH_ZEROS_MAX;
  const samples: ScalarSample[] = [];
  const add = (source: Labels, counts: Float64Array, zeros: boolean): void => {
    const sums = new Float64Array(labels.length);
    for (let i = 0; i < counts.length; i++) {
      const count = counts[i] ?? 0;
      // Nearly all are 0 where an interrupt keeps to its CPU.
      if (count === 0) continue;
      const label = at[i] ?? 0;
      sums[label] = (sums[label] ?? 0) + count;
    }
    for (const [i, cpu] of labels.entries()) {
      const value = sums[i] ?? 0;
      if (value > 0 || zeros) samples.push({ labels: { ...source, cpu }, value });
    }
  };
  for (const { irq, owner, counts } of sources) {
    const queue = owner.queue === undefined ? '' : String(owner.queue);
    add({ irq, device: owner.device, queue }, counts, withZeros);
  }
  add({ irq: '', device: '', queue: '' }, others, true);
  byCpu.folded.set(name, shown.others);
  return {
    type: 'counter',
    name,
    help: 'Interrupts of network devices by line, device, queue and CPU; all others, the timer\'s and those between CPUs included, as device="".',
    samples,
  };
}

function linkFamilies({ links, driverDrops }: HostReading, seriesMax: number): Family[] {
  // A link that is down and never received is nobody's concern.
  const used = links.filter(({ up, stats }) => up || stats.rx_packets > 0);
  const counters = (names: readonly LinkStatistic[]): ScalarSample[] => {
    const samples: ScalarSample[] = [];
    let zeros = 0;
    for (const { name, stats } of used)
      for (const counter of names) {
        const value = stats[counter];
        if (value === undefined || (value === 0 && ++zeros > seriesMax)) continue;
        samples.push({ labels: { device: name, counter }, value });
      }
    return samples;
  };
  return [
    {
      type: 'counter',
      name: 'rxscope_interface_receive_packets_total',
      help: 'Packets that the interface received, as its driver counts them.',
      samples: used.map(({ name, stats }) => ({
        labels: { device: name },
        value: stats.rx_packets,
      })),
    },
    {
      type: 'counter',
      name: 'rxscope_interface_receive_drops_total',
      help: "Received packets that the interface's driver or the kernel dropped, by the kernel's name of the counter. Drivers may count one packet in several.",
      samples: counters(DROP_COUNTERS),
    },
    {
      type: 'counter',
      name: 'rxscope_interface_receive_errors_total',
      help: "Bad packets that the interface received, by the kernel's name of the counter: rx_errors contains the others.",
      samples: counters(ERROR_COUNTERS),
    },
    {
      type: 'counter',
      name: 'rxscope_interface_driver_drops_total',
      help: "The driver's own statistics of lost received packets, by its own names, queues summed. They overlap each other and the interface's counters: compare, do not add.",
      samples: [...driverDrops].flatMap(([device, statistics]) =>
        Array.from(statistics, ([statistic, value]) => ({ labels: { device, statistic }, value })),
      ),
    },
  ];
}

function factFamilies({ links, devices, settings }: HostReading): Family[] {
  const facts = new Map(devices.map((one) => [one.device, one]));
  const ofDevices = (
    name: string,
    help: string,
    read: (one: DeviceFacts) => number | undefined,
  ): Family => ({
    type: 'gauge',
    name: `rxscope_device_${name}`,
    help,
    samples: devices.flatMap((one) => {
      const value = read(one);
      return value === undefined ? [] : [{ labels: { device: one.device }, value }];
    }),
  });
  return [
    {
      type: 'gauge',
      name: 'rxscope_device_info',
      help: 'What each network device that is up is: its driver and bus where it has hardware, its kind where it has none.',
      samples: links
        // Without its facts a device with hardware would have other labels than later.
        .filter((link) => link.up && (!hasHardware(link) || facts.has(link.name)))
        .map((link) => ({ labels: infoLabels(link, facts.get(link.name)), value: 1 })),
    },
    ofDevices('receive_queues', 'Receive queues in use.', ({ settings: { channels }, steering }) =>
      channels === undefined ? steering?.receive.length : channels.rx + channels.combined,
    ),
    ofDevices(
      'receive_ring_descriptors',
      'Descriptors of each receive ring.',
      ({ settings: { rings } }) => rings?.rx,
    ),
    ofDevices(
      'receive_ring_descriptors_max',
      'Descriptors that a receive ring can have.',
      ({ settings: { rings } }) => rings?.rxMax,
    ),
    ofDevices(
      'receive_coalescing_seconds',
      'How long the device may wait for further packets before it raises an interrupt.',
      ({ settings: { coalescing } }) => coalescing && coalescing.rxUsecs / 1e6,
    ),
    ofDevices(
      'rps_queues',
      'Receive queues whose packets are handed to other CPUs (RPS).',
      ({ steering }) =>
        steering?.receive.filter(({ rpsCpus }) => (rpsCpus?.length ?? 0) > 0).length,
    ),
    scalar(
      'gauge',
      'rxscope_netdev_budget_packets',
      'Packets that one NET_RX run may take (net.core.netdev_budget).',
      [settings?.netdevBudget],
    ),
    scalar(
      'gauge',
      'rxscope_netdev_budget_seconds',
      'How long one NET_RX run may take (net.core.netdev_budget_usecs).',
      [seconds(settings?.netdevBudgetUsecs)],
    ),
    scalar(
      'gauge',
      'rxscope_netdev_backlog_packets_max',
      "Packets that a CPU's backlog holds (net.core.netdev_max_backlog).",
      [settings?.netdevMaxBacklog],
    ),
    scalar(
      'gauge',
      'rxscope_rps_sock_flow_entries',
      'Flows that RFS can follow on all devices, 0 when it is off (net.core.rps_sock_flow_entries).',
      [settings?.rpsSockFlowEntries],
    ),
  ];
}

/** Empty where there is nothing to tell. */
function infoLabels(link: Link, facts: DeviceFacts | undefined): Labels {
  const hardware = facts?.hardware;
  return {
    device: link.name,
    driver: hardware?.driver ?? facts?.settings.driver?.driver ?? '',
    kind: link.kind ?? (link.loopback ? 'loopback' : ''),
    bus: hardware?.bus ?? '',
    numa_node: hardware?.numaNode === undefined ? '' : String(hardware.numaNode),
  };
}

function scalar(
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  values: readonly (number | undefined)[],
): Family {
  return {
    type,
    name,
    help,
    samples: values.flatMap((value) => (value === undefined ? [] : [{ labels: {}, value }])),
  };
}

function seconds(microseconds: number | undefined): number | undefined {
  return microseconds === undefined ? undefined : microseconds / 1e6;
}
