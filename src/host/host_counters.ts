// What the host counts and how it is set up, read for one gather. Keeps between gathers what must not
// run backwards, and facts that are expensive to ask for. Never throws: every source is a collector,
// which fails by itself and is told.

import type { Addon } from '../addon/addon.ts';
import { type CpuSeconds, readCpuTimes } from './cpu_times.ts';
import { nameBytes } from './device_names.ts';
import { hardwareOf } from './devices.ts';
import { deviceSettings, type EthtoolCall } from './ethtool.ts';
import { type DeviceSources, HostDevices } from './host_devices.ts';
import { type DeviceFacts, type HostReading, hasHardware } from './host_reading.ts';
import { type Link, linkRequest, parseLinks } from './links.ts';
import { PROTOCOL_COUNTERS, readProtocolCounters } from './protocol_counters.ts';
import { ReceiveDrops } from './receive_statistics.ts';
import { CpuCounts, InterruptTotals, Risen, RisenBy, RisenLinks } from './rising.ts';
import { HOST_ROOTS } from './roots.ts';
import { readSoftirqs } from './softirqs.ts';
import { lackingInSoftnet, readSoftnet, SOFTNET_COUNTS, type SoftnetCount } from './softnet.ts';
import { type NetworkSettings, readDeviceSteering, readNetworkSettings } from './steering.ts';

/** Where the host is read from; tests put another machine in its place. */
export interface HostSources extends DeviceSources {
  readonly ethtool: EthtoolCall;
}

/** Facts are read again when they are older than this. */
const FACTS_MS = 60_000;
/** Most devices whose facts are read in one gather, but the first: 64 queues are some 200 files. */
const FACTS_PER_GATHER = 4;
/**
 * Most devices whose driver is asked in one gather, but the first, each in some system calls under the kernel's
 * network lock. Where there are more, they are asked in turn.
 */
const DRIVERS_PER_GATHER = 32;

/** This host. `addon` is asked for each time: where it cannot be loaded, only what needs it fails. */
export function hostSources(addon: () => Addon): HostSources {
  return {
    roots: HOST_ROOTS,
    links: () => parseLinks(addon().routeDump(linkRequest())),
    ethtool: (device, buffer) => addon().ethtool(nameBytes(device), buffer),
  };
}

/** Runs one part of a reading; undefined when it failed, which is told elsewhere. */
export interface Collect {
  run<T>(collector: string, work: () => T): T | undefined;
}

export class HostCounters {
  readonly #sources: HostSources;
  readonly #cpus = new Set<number>();
  readonly #softnet = new Map<SoftnetCount, CpuCounts>(
    SOFTNET_COUNTS.map((count) => [count, new CpuCounts()]),
  );
  #backlogPackets = new Map<number, number>();
  readonly #softirqs = new Map<string, CpuCounts>();
  readonly #cpuSeconds = new Map<number, CpuSeconds>();
  readonly #irqSeconds = new RisenBy<number>();
  readonly #softirqSeconds = new RisenBy<number>();
  readonly #stealSeconds = new RisenBy<number>();
  readonly #switches = new Risen();
  #contextSwitches: number | undefined;
  readonly #interrupts = new InterruptTotals();
  readonly #devices: HostDevices;
  readonly #risenLinks = new RisenLinks();
  #links: readonly Link[] = [];
  readonly #receiveDrops: ReceiveDrops;
  #driverDrops = new Map<string, Map<string, Risen>>();
  #gathers = 0;
  /** By device: the gather in which its driver was asked last. */
  readonly #driversAsked = new Map<string, number>();
  readonly #facts = new Map<string, { readonly facts: DeviceFacts; readonly readMs: number }>();
  #settings: NetworkSettings | undefined;
  readonly #protocols = new Map<string, RisenBy<string>>();

  constructor(sources: HostSources) {
    this.#sources = sources;
    this.#devices = new HostDevices(sources);
    this.#receiveDrops = new ReceiveDrops(sources.ethtool);
  }

  /** What fails is as it was the last time. */
  gather(collectors: Collect, nowMs: number = Date.now()): HostReading {
    collectors.run('cpu_times', () => this.#readCpuTimes());
    collectors.run('softnet', () => this.#readSoftnet());
    collectors.run('softirqs', () => this.#readSoftirqs());
    collectors.run('links', () => this.#readLinks());
    collectors.run('devices', () => this.#checkSysfs());
    collectors.run('interrupt_counts', () => this.#readInterrupts());
    collectors.run('driver_statistics', () => this.#readDriverDrops());
    collectors.run('device_facts', () => this.#readFacts(nowMs));
    collectors.run('protocols', () => this.#readProtocols());
    return this.#reading();
  }

  /** As they were read for the last gather. */
  get devices(): Pick<HostDevices, 'devices' | 'owners' | 'fresh'> {
    return this.#devices;
  }

  /** Of its own: what is read later does not change it. */
  #reading(): HostReading {
    return {
      cpus: [...this.#cpus].sort((a, b) => a - b),
      softnet: copied(this.#softnet),
      backlogPackets: this.#backlogPackets,
      softirqs: copied(this.#softirqs),
      cpuSeconds: new Map(this.#cpuSeconds),
      contextSwitches: this.#contextSwitches,
      interrupts: this.#interrupts.counts(),
      links: this.#links,
      driverDrops: new Map(
        Array.from(this.#driverDrops, ([device, statistics]) => [
          device,
          new Map(Array.from(statistics, ([statistic, { total }]) => [statistic, total])),
        ]),
      ),
      devices: Array.from(this.#facts.values(), ({ facts }) => facts),
      settings: this.#settings,
      protocols: copied(this.#protocols),
    };
  }

  #readCpuTimes(): void {
    const { cpus, contextSwitches } = readCpuTimes(this.#sources.roots);
    this.#contextSwitches = this.#switches.follow(contextSwitches);
    for (const [cpu, { irq, softirq, steal }] of cpus) {
      this.#cpus.add(cpu);
      // Steal begins anew on the host that a machine moves to; the others may, too.
      this.#cpuSeconds.set(cpu, {
        irq: this.#irqSeconds.follow(cpu, irq),
        softirq: this.#softirqSeconds.follow(cpu, softirq),
        steal: this.#stealSeconds.follow(cpu, steal),
      });
    }
  }

  #readSoftnet(): void {
    const rows = readSoftnet(this.#sources.roots);
    this.#backlogPackets = new Map();
    for (const [cpu, row] of rows) {
      this.#cpus.add(cpu);
      for (const [count, counts] of this.#softnet) {
        const value = row[count];
        if (value !== undefined) counts.follow(cpu, value);
      }
      if (row.backlogPackets !== undefined) this.#backlogPackets.set(cpu, row.backlogPackets);
    }
    // What is there is used all the same.
    const lacking = lackingInSoftnet(rows);
    if (lacking !== undefined) throw new Error(lacking);
  }

  /** The file has all possible CPUs; those that were never online are left out. */
  #readSoftirqs(): void {
    for (const [vector, runs] of readSoftirqs(this.#sources.roots)) {
      const counts = this.#softirqs.get(vector) ?? new CpuCounts();
      this.#softirqs.set(vector, counts);
      for (const [cpu, count] of runs) if (this.#cpus.has(cpu)) counts.follow(cpu, count);
    }
  }

  /** Forgets what belongs to devices that are gone. */
  #readLinks(): void {
    const changed = this.#devices.readLinks();
    this.#links = this.#risenLinks.follow(this.#devices.links);
    if (!changed) return;
    const names = new Set(this.#links.map(({ name }) => name));
    for (const device of this.#facts.keys()) if (!names.has(device)) this.#facts.delete(device);
    for (const device of this.#driverDrops.keys()) {
      if (!names.has(device)) this.#driverDrops.delete(device);
    }
    for (const device of this.#driversAsked.keys())
      if (!names.has(device)) this.#driversAsked.delete(device);
    this.#receiveDrops.keepOnly(names);
  }

  /** What was read of another namespace's devices is forgotten. */
  #checkSysfs(): void {
    const before = this.#devices.sysfsElsewhere;
    try {
      this.#devices.checkSysfs();
    } finally {
      if (this.#devices.sysfsElsewhere !== before) this.#facts.clear();
    }
  }

  #readInterrupts(): void {
    const table = this.#devices.readInterrupts();
    for (const cpu of table.cpus) this.#cpus.add(cpu);
    this.#interrupts.update(table, this.#devices.owners);
  }

  /** Those that only rise: the others are gauges and settings. */
  #readProtocols(): void {
    const read = readProtocolCounters(this.#sources.roots);
    for (const [protocol, counter] of PROTOCOL_COUNTERS) {
      const value = read.get(protocol)?.get(counter);
      if (value === undefined) continue;
      const counters = this.#protocols.get(protocol) ?? new RisenBy<string>();
      this.#protocols.set(protocol, counters);
      counters.follow(counter, value);
    }
  }

  #readDriverDrops(): void {
    const awake = this.#awake().map(({ name }) => name);
    const most = this.#driversAsked.size === 0 ? awake.length : DRIVERS_PER_GATHER;
    const asked = (name: string): number => this.#driversAsked.get(name) ?? 0;
    // Those that are new, and then those that were not asked for longest.
    const inTurn = awake.toSorted((a, b) => asked(a) - asked(b)).slice(0, most);
    this.#gathers += 1;
    for (const name of inTurn) {
      this.#driversAsked.set(name, this.#gathers);
      const statistics = this.#receiveDrops.read(name);
      if (statistics === undefined) continue;
      const known = this.#driverDrops.get(name) ?? new Map<string, Risen>();
      this.#driverDrops.set(name, known);
      for (const [statistic, count] of statistics) {
        const risen = known.get(statistic) ?? new Risen();
        risen.follow(count);
        known.set(statistic, risen);
      }
    }
  }

  /** Of devices that are new, and then of those that were not asked for longest. */
  #readFacts(nowMs: number): void {
    const { roots, ethtool } = this.#sources;
    this.#settings = readNetworkSettings(roots);
    const age = ({ name }: Link): number =>
      nowMs - (this.#facts.get(name)?.readMs ?? Number.NEGATIVE_INFINITY);
    const due = this.#awake()
      .filter((link) => age(link) >= FACTS_MS)
      .sort((a, b) => age(b) - age(a));
    const most = this.#facts.size === 0 ? due.length : FACTS_PER_GATHER;
    for (const link of due.slice(0, most)) {
      const { name } = link;
      const facts: DeviceFacts = {
        device: name,
        hardware: hardwareOf(name, roots, this.#devices.netDevice(link)),
        settings: deviceSettings(ethtool, name),
        steering: this.#devices.sysfsElsewhere ? undefined : readDeviceSteering(name, roots),
      };
      this.#facts.set(name, { facts, readMs: nowMs });
    }
  }

  /** Devices whose driver can be asked. One that is down may be asleep, and counts nothing. */
  #awake(): Link[] {
    return this.#links.filter((link) => link.up && hasHardware(link));
  }
}

function copied<Key, Inner>(
  counts: ReadonlyMap<Key, { readonly totals: ReadonlyMap<Inner, number> }>,
): Map<Key, ReadonlyMap<Inner, number>> {
  return new Map(Array.from(counts, ([key, { totals }]) => [key, new Map(totals)]));
}
