// One gather: reads the kernel's counters and the host's, gives names to numbers, and puts the snapshot
// together that every encoder reads. Attaches nothing; agent.ts does.

import { release } from 'node:os';
import type { Logger } from 'pino';
import { loadAddon } from '../addon/addon.ts';
import type { BpftraceBackend } from '../capture/bpftrace/backend.ts';
import { RemovedDevices } from '../capture/bpftrace/removed_devices.ts';
import type { ScriptDevice, ScriptReading } from '../capture/bpftrace/script_reading.ts';
import type { KernelCapture } from '../capture/kernel_capture.ts';
import type { DropCount, IrqKey, Reading } from '../capture/reading.ts';
import type { DropRecord, Outlier } from '../capture/records.ts';
import { withRemoved } from '../capture/removed.ts';
import type { ProbeStatus } from '../capture/status.ts';
import type { Config } from '../config/schema.ts';
import { type DropReasons, dropReasons, readDropReasons } from '../host/drop_reasons.ts';
import { HostCounters, hostSources } from '../host/host_counters.ts';
import type { HostReading } from '../host/host_reading.ts';
import { Symbols } from '../host/symbols.ts';
import { dropFamilies } from '../metrics/drop_families.ts';
import { cpuLabelFits, packetFamilies } from '../metrics/families.ts';
import { hostFamilies } from '../metrics/host_families.ts';
import type { Exemplar, Family, Labels, Snapshot } from '../metrics/model.ts';
import { processFamilies } from '../metrics/process.ts';
import { ProgramShare } from '../metrics/program_share.ts';
import { selfFamilies } from '../metrics/self_families.ts';
import { SeriesCap } from '../metrics/series_cap.ts';
import { ShownCpus } from '../metrics/shown_cpus.ts';
import { PROBES } from '../probes/index.ts';
import {
  HostNames,
  labelOf,
  type Place,
  placeOfDrop,
  placeOfOutlier,
  REMOVED,
  reasonLabel,
} from '../readings/names.ts';
import { budgets } from './capture_options.ts';
import { Collectors, NothingAttached } from './collectors.ts';
import { REVISION, VERSION } from './version.ts';

/** What a gather reads, as it stands then. */
export interface Sources {
  readonly capture: KernelCapture | undefined;
  readonly scripts: BpftraceBackend | undefined;
  /** Of what is switched on. */
  readonly statuses: readonly ProbeStatus[];
  /** bpftrace measures everything: there are no other counters. */
  readonly onlyScripts: boolean;
  /** The kernel counts what the programs cost. */
  readonly statistics: boolean;
  readonly reloadSucceeded: boolean;
  readonly certificateExpiresAt: number | undefined;
  readonly lostLogLines: number;
  exemplars(probe: string, labels: Labels): readonly Exemplar[];
}

/** Names of drop reasons are read again, where one is missing, when they are older than this. */
const REASONS_MS = 60_000;
/** The kernel is asked for new devices no more often, however many outliers have one without a name. */
const LEARN_MS = 1_000;

export class Gatherer {
  readonly #log: Logger;
  readonly #collectors: Collectors;
  readonly #names = new HostNames();
  #config: Config;
  #cap: SeriesCap;
  readonly #share = new ProgramShare();
  /** Opened here, before capabilities are dropped; read when the first name is asked for. */
  readonly #symbols = new Symbols();
  #reasons: DropReasons | undefined;
  #reasonsReadMs = 0;
  readonly #hostSources = hostSources(loadAddon);
  readonly #host = new HostCounters(this.#hostSources);
  #learntMs = Number.NEGATIVE_INFINITY;
  #shownCpus: ShownCpus;
  /** By probe that a script of bpftrace measures. */
  readonly #removed = new Map<string, RemovedDevices>();
  /** CPUs with histograms of their own. */
  #cpus: readonly number[] = [];

  constructor(config: Config, log: Logger) {
    this.#config = config;
    this.#cap = new SeriesCap(config.series_max);
    this.#shownCpus = new ShownCpus(config.series_max);
    this.#log = log;
    this.#collectors = new Collectors(log);
  }

  /** Reads names, and decides on the cpu label. To be called when everything is attached. */
  start(cpus: number): void {
    // The first time takes longest: the facts of all devices.
    this.#host.gather(this.#collectors);
    this.#useNames();
    this.#chooseCpuLabel(cpus);
    // Without reasons, functions stand for them, whose names take 0.1 s to read.
    if (cpus > 0 && this.#countsDrops() && !this.#dropReasons().known) this.#symbols.read();
  }

  reconfigure(config: Config, cpus: number): void {
    if (config.series_max !== this.#config.series_max) {
      this.#cap = new SeriesCap(config.series_max);
      this.#shownCpus = new ShownCpus(config.series_max);
    }
    this.#config = config;
    this.#chooseCpuLabel(cpus);
  }

  async gather(sources: Sources): Promise<Snapshot> {
    const { capture, statuses, statistics } = sources;
    const collectors = this.#collectors;
    collectors.begin();
    // Where bpftrace does it all, or nothing could be attached, there is no counter to read.
    const counted = sources.onlyScripts
      ? undefined
      : collectors.run('kernel', () => readKernel(capture, this.#cpus.length > 0));
    const counts = await this.#readScripts(sources, collectors);
    // After the counters: a device that had packets and is not there now is gone.
    const host = this.#host.gather(collectors);
    this.#useNames();
    const gone = collectors.run('removed_devices', () => this.#forgetDevices(capture, counted));
    const reading = counted && withRemoved(counted, gone ?? new Set());
    const scripts = counts && this.#withoutRemoved(counts);
    this.#shownCpus.add(host.cpus, host.softirqs.get('NET_RX'));
    const ofHost = hostFamilies(host, this.#shownCpus, this.#config.series_max);
    const families = [
      ...this.#packetFamilies(reading, scripts, sources),
      ...this.#dropFamilies(reading, host),
      ...ofHost.families,
    ];
    await capture?.settleDevices();
    const process = this.#config.process_metrics
      ? ((await collectors.wait('process', processFamilies)) ?? [])
      : [];
    const programs = statistics ? (capture?.programStats() ?? []) : undefined;
    const self = selfFamilies({
      probes: statuses,
      reading,
      collectors: collectors.runs,
      reloadSucceeded: sources.reloadSucceeded,
      certificateExpiresAt: sources.certificateExpiresAt,
      lostLogLines: sources.lostLogLines,
      build: {
        version: VERSION,
        revision: REVISION,
        // By a system call: /proc may hide its file.
        kernel: release(),
        nodeversion: globalThis.process.version,
      },
      ...(programs === undefined ? {} : { programs, programShare: this.#share.since(programs) }),
    });
    return this.#cap.apply([...families, ...self, ...process], ofHost.foldedCpus);
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
    collectors: Collectors,
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
  #withoutRemoved(readings: ScriptReadings): ScriptReadings {
    const { fresh } = this.#host.devices;
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

  #packetFamilies(
    reading: Reading | undefined,
    scripts: ScriptReadings | undefined,
    { exemplars }: Sources,
  ): Family[] {
    const irqLabel = (irq: IrqKey): string => this.#names.irqLabel(irq);
    return packetFamilies(reading, {
      ...this.#known(),
      budgets_ns: budgets(this.#config),
      deviceLabel: (device) => this.#names.deviceLabel(device),
      irqLabel,
      ...(scripts === undefined
        ? {}
        : {
            scripts: {
              readings: scripts,
              deviceLabel: (device) => this.#names.scriptDevice(device),
              irqLabel,
            },
          }),
      exemplars,
      cpus: this.#cpus,
      seriesMax: this.#config.series_max,
    });
  }

  /** No bpftrace script counts drops. */
  #countsDrops(): boolean {
    return this.#config.probes.drops?.enabled === true && this.#config.backend !== 'bpftrace';
  }

  #dropFamilies(reading: Reading | undefined, host: HostReading): Family[] {
    // A module that was loaded since may bring names.
    const isUnknown = ({ reason }: DropCount): boolean =>
      this.#dropReasons().name(reason).startsWith('UNKNOWN_');
    const reasonsAreOld = performance.now() - this.#reasonsReadMs > REASONS_MS;
    if (reasonsAreOld && reading?.drops.some(isUnknown)) this.#reasons = undefined;
    return dropFamilies({
      counted: this.#countsDrops(),
      drops: reading?.drops,
      transmitDrops: reading?.transmitDrops ?? 0,
      reasons: this.#dropReasons(),
      symbols: this.#symbols,
      deviceLabel: (device) => this.#names.deviceLabel(device),
      devices: this.#names.known().devices,
      seriesMax: this.#config.series_max,
      links: host.links,
      protocols: host.protocols,
    });
  }

  /** What is known before the first packet: probes and devices. */
  #known() {
    return {
      // bpftrace measures those with a script, and no others.
      probes: PROBES.filter(
        ({ id, script }) =>
          this.#config.probes[id]?.enabled === true &&
          (script || this.#config.backend !== 'bpftrace'),
      ),
      ...this.#names.known(),
    };
  }

  #chooseCpuLabel(count: number): void {
    const { cpu: label } = this.#config.labels;
    const wanted =
      label === 'always' ||
      (label === 'auto' && cpuLabelFits(this.#known(), count, this.#config.series_max));
    this.#cpus = wanted ? Array.from({ length: count }, (_, cpu) => cpu) : [];
  }

  /** Of something that was just observed: its device may have come since the last gather. */
  #deviceNow(probe: string, place: Place): string {
    const label = labelOf(probe, place, this.#names);
    if (label !== undefined) return label;
    if (performance.now() - this.#learntMs > LEARN_MS) {
      this.#learntMs = performance.now();
      try {
        this.#names.learn(this.#hostSources.links());
      } catch (error) {
        this.#log.debug({ err: error }, 'the names of new devices cannot be read');
      }
    }
    return labelOf(probe, place, this.#names) ?? REMOVED;
  }

  #useNames(): void {
    const { devices, owners } = this.#host.devices;
    this.#names.use(devices, owners);
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
