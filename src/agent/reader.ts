// Reads the kernel's counters and the host's, and gives names to the numbers. Attaches nothing, exports nothing.

import type { Logger } from 'pino';
import { loadAddon } from '../addon/addon.ts';
import type { BpftraceBackend } from '../capture/bpftrace/backend.ts';
import { RemovedDevices } from '../capture/bpftrace/removed_devices.ts';
import type { ScriptDevice, ScriptReading } from '../capture/bpftrace/script_reading.ts';
import type { KernelCapture } from '../capture/kernel_capture.ts';
import type { DropCount, Reading } from '../capture/reading.ts';
import type { DropRecord, Outlier } from '../capture/records.ts';
import { withRemoved } from '../capture/removed.ts';
import type { ProbeStatus } from '../capture/status.ts';
import { type DropReasons, dropReasons, readDropReasons } from '../host/drop_reasons.ts';
import { HostCounters, hostSources } from '../host/host_counters.ts';
import type { HostReading } from '../host/host_reading.ts';
import { Symbols } from '../host/symbols.ts';
import { type CollectorRuns, Collectors, NothingAttached } from '../readings/collectors.ts';
import {
  type Known,
  type NamedPackets,
  type NamedReading,
  namePackets,
  nameScript,
} from '../readings/named_reading.ts';
import {
  type DeviceLabels,
  HostNames,
  labelOf,
  type Place,
  placeOfDrop,
  placeOfOutlier,
  REMOVED,
  reasonLabel,
} from '../readings/names.ts';

/** What is read, as it stands then. */
export interface Sources {
  readonly capture: KernelCapture | undefined;
  readonly scripts: BpftraceBackend | undefined;
  /** Of what is switched on. */
  readonly statuses: readonly ProbeStatus[];
  /** bpftrace measures everything: there are no other counters. */
  readonly onlyScripts: boolean;
  /** The kernel counts what the programs cost. */
  readonly statistics: boolean;
  /** Latencies of each CPU apart. */
  readonly perCpu: boolean;
}

/** `counters`: what the kernel's programs counted, without a look at the host. */
export type Extent = 'counters' | 'all';

/** Names of drop reasons are read again, where one is missing, when they are older than this. */
const REASONS_MS = 60_000;
/** The kernel is asked for new devices no more often, however much is of one without a name. */
const LEARN_MS = 1_000;

export class Reader {
  readonly #log: Logger;
  readonly #countsDrops: boolean;
  readonly #collectors: Collectors;
  readonly #names = new HostNames();
  /** Opened here, before capabilities are dropped; read when the first name is asked for. */
  readonly #symbols = new Symbols();
  #reasons: DropReasons | undefined;
  #reasonsReadMs = 0;
  readonly #hostSources = hostSources(loadAddon);
  readonly #host = new HostCounters(this.#hostSources);
  #learntMs = Number.NEGATIVE_INFINITY;
  /** By probe that a script of bpftrace measures. */
  readonly #removed = new Map<string, RemovedDevices>();
  /** For what was just observed: its device may have come since the host was read. */
  readonly #namesNow: DeviceLabels = {
    deviceLabel: (device) => this.#names.deviceLabel(device) ?? this.#learned().deviceLabel(device),
    irqLabel: (irq) => this.#names.irqLabel(irq),
  };

  /** `countsDrops`: somebody wants their reasons' names. */
  constructor(countsDrops: boolean, log: Logger) {
    this.#countsDrops = countsDrops;
    this.#log = log;
    this.#collectors = new Collectors(log);
  }

  /** Reads names. To be called when everything is attached; `measures`: something is. */
  start(measures: boolean): void {
    // The first time takes longest: the facts of all devices.
    this.#readHost(this.#collectors.begin());
    // Without reasons, functions stand for them, whose names take 0.1 s to read.
    if (measures && this.#countsDrops && !this.#dropReasons().known) this.#symbols.read();
  }

  /**
   * `counters`: of the kernel's programs alone, which takes no look at the host but for names that are
   * missing. Rejects with the signal's reason when it aborts in a wait. To be called one at a time.
   */
  async read(sources: Sources, extent: Extent, signal: AbortSignal): Promise<NamedReading> {
    const { capture } = sources;
    const collectors = this.#collectors.begin();
    const atNs = process.hrtime.bigint();
    // Where bpftrace does it all, or nothing could be attached, there is no counter to read.
    const counted = sources.onlyScripts
      ? undefined
      : collectors.run('kernel', () => readKernel(capture, sources.perCpu && extent === 'all'));
    const counts = await this.#readScripts(sources, collectors);
    signal.throwIfAborted();
    // After the counters: a device that had packets and is not there now is gone.
    const host = extent === 'all' ? this.#readHost(collectors) : undefined;
    const gone =
      host && collectors.run('removed_devices', () => this.#forgetDevices(capture, counted));
    const reading = counted && withRemoved(counted, gone ?? new Set());
    const scripts = counts && this.#withoutRemoved(counts, host !== undefined);
    const named = {
      atNs,
      packets:
        reading && this.#namePackets(reading, host === undefined ? this.#namesNow : this.#names),
      scripts:
        scripts &&
        new Map([...scripts].map(([probe, one]) => [probe, nameScript(probe, one, this.#names)])),
      known: this.known(),
      host,
      probes: sources.statuses,
      collectors: collectors.runs,
      programs: sources.statistics ? (capture?.programStats() ?? []) : undefined,
    };
    if (extent === 'all') await capture?.settleDevices();
    return named;
  }

  /** The device of an outlier, as the histograms label it. */
  outlierDevice(outlier: Outlier): string {
    return this.#deviceNow(outlier.probe, placeOfOutlier(outlier));
  }

  dropDevice(drop: DropRecord): string {
    return this.#deviceNow('drops', placeOfDrop(drop));
  }

  dropReason(reason: number): string {
    return reasonLabel(reason, this.#dropReasons(), this.#symbols);
  }

  functionAt(address: bigint): string | undefined {
    return this.#symbols.nameOf(address);
  }

  close(): void {
    this.#symbols.close();
  }

  /** Read when the first name is asked for. */
  #dropReasons(): DropReasons {
    if (this.#reasons === undefined) {
      this.#reasons = this.#readDropReasons();
      this.#reasonsReadMs = performance.now();
    }
    return this.#reasons;
  }

  /** Where the kernel does not tell its types, nothing counts drops: there are no names to miss. */
  #readDropReasons(): DropReasons {
    try {
      return readDropReasons(loadAddon());
    } catch (error) {
      this.#log.debug({ err: error }, 'drop reasons have no names');
      return dropReasons([]);
    }
  }

  async #readScripts(
    { scripts }: Sources,
    collectors: CollectorRuns,
  ): Promise<ScriptReadings | undefined> {
    if (scripts === undefined) return undefined;
    const answer = await collectors.wait('bpftrace', async () => {
      const { readings, stale } = await scripts.read();
      if (stale.length > 0) this.#log.warn({ probes: stale }, 'bpftrace did not answer in time');
      return { result: readings, success: stale.length === 0 };
    });
    return answer?.result;
  }

  /** Of the scripts' readings, too, what devices had that are gone is that of removed devices. */
  #withoutRemoved(readings: ScriptReadings, hostIsRead: boolean): ScriptReadings {
    const fresh = hostIsRead && this.#host.devices.fresh;
    const isGone = (device: ScriptDevice): boolean =>
      fresh && this.#names.scriptDevice(device) === undefined;
    return new Map(
      [...readings].map(([probe, reading]) => {
        const removed = this.#removed.get(probe) ?? new RemovedDevices();
        this.#removed.set(probe, removed);
        return [probe, removed.apply(reading, isGone)];
      }),
    );
  }

  #namePackets(reading: Reading, names: DeviceLabels): NamedPackets {
    // A module that was loaded since may bring names.
    const isUnknown = ({ reason }: DropCount): boolean =>
      this.#dropReasons().name(reason).startsWith('UNKNOWN_');
    const reasonsAreOld = performance.now() - this.#reasonsReadMs > REASONS_MS;
    if (reasonsAreOld && reading.drops.some(isUnknown)) this.#reasons = undefined;
    return namePackets(reading, names, (reason) => this.dropReason(reason));
  }

  /** What can be observed on this host. */
  known(): Known {
    const dropReasons = this.#countsDrops ? this.#dropReasons().names : [];
    return { ...this.#names.known(), dropReasons };
  }

  #deviceNow(probe: string, place: Place): string {
    return labelOf(probe, place, this.#namesNow) ?? REMOVED;
  }

  #learned(): HostNames {
    if (performance.now() - this.#learntMs > LEARN_MS) {
      this.#learntMs = performance.now();
      try {
        this.#names.learn(this.#hostSources.links());
      } catch (error) {
        this.#log.debug({ err: error }, 'the names of new devices cannot be read');
      }
    }
    return this.#names;
  }

  #readHost(collectors: CollectorRuns): HostReading {
    const host = this.#host.gather(collectors);
    const { devices, owners } = this.#host.devices;
    this.#names.use(devices, owners);
    return host;
  }

  /** The slots of devices that are gone are freed for others. Returns those. */
  #forgetDevices(
    capture: KernelCapture | undefined,
    reading: Reading | undefined,
  ): ReadonlySet<number> {
    if (!this.#host.devices.fresh) return new Set();
    const seen = (reading?.received ?? []).map(({ device }) => device);
    const gone = this.#names.gone(seen);
    capture?.forgetDevices(gone);
    return gone;
  }
}

type ScriptReadings = ReadonlyMap<string, ScriptReading>;

function readKernel(capture: KernelCapture | undefined, perCpu: boolean): Reading {
  const reading = capture?.read(perCpu);
  if (reading === undefined) throw new NothingAttached('nothing could be attached');
  return reading;
}
