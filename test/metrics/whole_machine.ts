// All that an agent exports about a machine that is not this one: /proc and /sys as test/host/many_cpus.ts
// writes them, links, drivers and kernel counters made up to go with it. Every device is busy.

import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type DeviceKey,
  type IrqKey,
  type Latency,
  POLL_BOUNDS,
  type Reading,
} from '../../src/capture/reading.ts';
import { PROTOCOLS, VECTORS } from '../../src/capture/slots.ts';
import { emptyHistogram } from '../../src/histogram/histogram.ts';
import { dropReasons } from '../../src/host/drop_reasons.ts';
import { HostCounters, type HostSources } from '../../src/host/host_counters.ts';
import { LINK_STATISTICS, type Link, type LinkStats } from '../../src/host/links.ts';
import { dropFamilies } from '../../src/metrics/drop_families.ts';
import { packetFamilies } from '../../src/metrics/families.ts';
import { hostFamilies } from '../../src/metrics/host_families.ts';
import type { Family } from '../../src/metrics/model.ts';
import { processFamilies } from '../../src/metrics/process.ts';
import { selfFamilies } from '../../src/metrics/self_families.ts';
import { SeriesCap } from '../../src/metrics/series_cap.ts';
import { ShownCpus } from '../../src/metrics/shown_cpus.ts';
import { PROBES } from '../../src/probes/index.ts';
import type { Probe } from '../../src/probes/probe.ts';
import { Collectors } from '../../src/readings/collectors.ts';
import { namePackets } from '../../src/readings/named_reading.ts';
import { reasonLabel } from '../../src/readings/names.ts';
import { type ManyCpus, type ManyCpusOptions, writeManyCpus } from '../host/many_cpus.ts';
import { modelledDriver } from '../host/modelled_driver.ts';

export interface WholeMachine extends ManyCpus {
  readonly sources: HostSources;
  /** Links as they are; change it to take one away. */
  links: Link[];
}

export function writeMachine(folder: string, options: ManyCpusOptions = {}): WholeMachine {
  const tree = writeManyCpus(folder, options);
  symlinkSync('self/net', join(tree.proc, 'net'));
  // The protocols' counters are the same on any machine: those of this one.
  for (const file of ['snmp', 'snmp6', 'netstat']) {
    writeFileSync(join(tree.proc, 'self/net', file), readFileSync(join('/proc/self/net', file)));
  }
  const machine: WholeMachine = {
    ...tree,
    links: ['lo', ...tree.devices].map((name, at) => linkOf(name, at + 1, tree.queues)),
    sources: {
      roots: { proc: tree.proc, sys: tree.sys },
      links: () => machine.links,
      ethtool: modelledDriver({ names: statisticNames(tree.queues) }),
    },
  };
  return machine;
}

/** An agent's part in user space. The kernel's counters are made up where nobody gives others. */
export class WholeAgent {
  readonly #probes: readonly Probe[];
  readonly #host: HostCounters;
  readonly #shown: ShownCpus;
  readonly #cap: SeriesCap;
  readonly #seriesMax: number;
  readonly #kernel: (() => Reading) | undefined;
  /** Of the last gather: what failed. */
  failed: string[] = [];

  constructor(
    machine: WholeMachine,
    probes: readonly Probe[] = PROBES,
    seriesMax = 2_000,
    kernel?: () => Reading,
  ) {
    this.#kernel = kernel;
    this.#seriesMax = seriesMax;
    this.#probes = probes;
    this.#host = new HostCounters(machine.sources);
    this.#shown = new ShownCpus(seriesMax);
    this.#cap = new SeriesCap(seriesMax);
  }

  /** `packets`: for each device and protocol since the start; 0: nothing was received yet. */
  async gather(packets: number, nowMs = 0): Promise<Family[]> {
    return this.capped(await this.uncapped(packets, nowMs));
  }

  capped({ families, foldedCpus }: Awaited<ReturnType<WholeAgent['uncapped']>>): Family[] {
    return this.#cap.apply(families, foldedCpus);
  }

  async uncapped(
    packets: number,
    nowMs = 0,
  ): Promise<{ families: Family[]; foldedCpus: ReadonlyMap<string, number> }> {
    const collectors = new Collectors({ error: () => {}, debug: () => {} } as never).begin();
    const host = this.#host.gather(collectors, nowMs);
    const devices = host.links.map(({ name }) => name);
    const labels = [...devices, '(other netns)'];
    const names = new Map(host.links.map(({ ifindex, name }) => [ifindex, name]));
    const label = (device: DeviceKey): string | undefined =>
      typeof device === 'number' ? names.get(device) : `(${device.replace('_', ' ')})`;
    const owners = new Map(host.interrupts.sources.map(({ irq, owner }) => [irq, owner.device]));
    const irqs = devices.flatMap((device) => {
      const source = host.interrupts.sources.find(({ owner }) => owner.device === device);
      return source === undefined ? [] : [Number(source.irq)];
    });
    const reading =
      this.#kernel?.() ?? readingOf(this.#probes, [...names.keys(), 'other_netns'], irqs, packets);
    const reasons = dropReasons([{ name: 'skb_drop_reason', values: REASONS }]);
    const ownerOf = (irq: IrqKey): string => owners.get(String(irq)) ?? '';
    const named = namePackets(reading, { deviceLabel: label, irqLabel: ownerOf }, (reason) =>
      reasonLabel(reason, reasons, NO_SYMBOLS),
    );
    const known = { devices: labels, irqDevices: devices.slice(1), dropReasons: reasons.names };
    const packet = packetFamilies(named, {
      probes: this.#probes,
      budgets_ns: {},
      known,
      exemplars: () => [],
      cpus: [],
      seriesMax: this.#seriesMax,
    });
    const drops = dropFamilies({
      counted: true,
      packets: named,
      known,
      seriesMax: this.#seriesMax,
      host,
    });
    const { families, foldedCpus } = hostFamilies(host, this.#shown, this.#seriesMax);
    const process = await processFamilies();
    this.failed = collectors.runs.filter(({ success }) => !success).map((run) => run.collector);
    const self = selfFamilies({
      probes: this.#probes.map(({ id }) => ({ id, up: true, reason: '', programs: PROGRAMS })),
      packets: named,
      collectors: collectors.runs,
      reloadSucceeded: true,
      lostLogLines: 0,
      build: { version: '', revision: '', kernel: '', nodeversion: '' },
    });
    return { families: [...packet, ...drops, ...families, ...self, ...process], foldedCpus };
  }
}

/** As an agent has them for a probe, about as many. */
const PROGRAMS = Array.from({ length: 6 }, (_, at) => ({
  hook: `hook${at}`,
  program: `program${at}`,
  attach: 'tp_btf',
  refusals: [],
}));

const NO_SYMBOLS = { nameOf: () => undefined, nameOfLow: () => undefined };

const REASONS: readonly (readonly [string, number])[] = (
  'NOT_SPECIFIED NO_SOCKET SOCKET_RCVBUFF NETFILTER_DROP CPU_BACKLOG UDP_CSUM TCP_CSUM IP_CSUM ' +
  'PROTO_MEM OTHERHOST TCP_OLD_DATA TCP_OVERWINDOW UNHANDLED_PROTO'
)
  .split(' ')
  .map((name, at) => [`SKB_DROP_REASON_${name}`, at + 2]);

function linkOf(name: string, ifindex: number, queues: number): Link {
  const stats = Object.fromEntries(
    LINK_STATISTICS.map((one, at) => [one, one === 'rx_packets' ? 1_000_003 * ifindex : at % 3]),
  ) as unknown as LinkStats;
  return {
    ifindex,
    name,
    flags: 1,
    up: true,
    loopback: name === 'lo',
    operationalState: 'up',
    linkElsewhere: false,
    mtu: 1_500,
    rxQueues: queues,
    txQueues: queues,
    carrierChanges: 0,
    stats,
  };
}

/** As many as mlx5 has, of which some are drops. */
function statisticNames(queues: number): string[] {
  const ofQueues = Array.from({ length: queues }, (_, queue) =>
    ['packets', 'bytes', 'csum_complete', 'xdp_drop', 'wqe_err', 'buff_alloc_err', 'recover'].map(
      (one) => `rx${queue}_${one}`,
    ),
  );
  const ofCard = ['rx_out_of_buffer', 'rx_discards_phy', 'rx_steer_missed_packets'];
  return [
    ...ofCard,
    ...Array.from({ length: 200 }, (_, at) => `counter_${at}`),
    ...ofQueues.flat(),
  ];
}

function readingOf(
  probes: readonly Probe[],
  keys: readonly DeviceKey[],
  irqs: readonly number[],
  packets: number,
): Reading {
  const latencies = probes.flatMap((probe) =>
    parts(probe, keys, irqs).map((of, at): Latency => {
      const histogram = emptyHistogram();
      histogram.counts[60 + (at % 40)] = packets + at;
      histogram.sumNs = 1_000 * (packets + at);
      return { probe: probe.id, ...of, histogram };
    }),
  );
  const seen = packets > 0;
  return {
    latencies: seen ? latencies : [],
    received: seen ? keys.map((device) => ({ device, packets })) : [],
    drops: seen
      ? keys.flatMap((device) =>
          [2, 3, 4, 11, 12, 13].map((reason) => ({ reason, device, packets: 1 })),
        )
      : [],
    transmitDrops: 0,
    polls: seen
      ? keys.map((device) => ({
          device,
          polls: [...POLL_BOUNDS, 0].map(() => packets),
          packets,
          exhausted: 1,
        }))
      : [],
    unmatched: Object.fromEntries(
      PROBES.map(({ id }) => [id, Object.fromEntries(CAUSES.map((cause) => [cause, 1]))]),
    ),
    deliveriesWithoutStart: 0,
    pending: 0,
    events: {},
  };
}

/** About as many as a probe has. */
const CAUSES = [
  'clock',
  'table_full',
  'attached_midway',
  'dropped',
  'no_socket',
  'fragment',
  'none',
];

function parts(
  { by }: Probe,
  keys: readonly DeviceKey[],
  irqs: readonly number[],
): Omit<Latency, 'probe' | 'histogram'>[] {
  switch (by) {
    case 'irq':
      return irqs.map((irq) => ({ irq }));
    case 'device':
      return keys.map((device) => ({ device }));
    case 'protocol':
      return PROTOCOLS.map((protocol) => ({ protocol }));
    case 'device_protocol':
      return keys.flatMap((device) => PROTOCOLS.map((protocol) => ({ device, protocol })));
    case 'vector':
      // Two of them never run on most machines.
      return VECTORS.filter((vector) => vector !== 'HI' && vector !== 'IRQ_POLL').map((vector) => ({
        vector,
      }));
  }
}
