// The agent: one capture, the host's names for its numbers, and the snapshot that a scrape gets.
// Does nothing while nobody scrapes; what the kernel counts waits there.

import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { type Addon, loadAddon } from '../capture/addon.ts';
import { explainObject, isBpfError } from '../capture/explain.ts';
import { type KernelCapture, openKernelCapture } from '../capture/kernel_capture.ts';
import type { DeviceKey, IrqKey, Reading } from '../capture/reading.ts';
import type { Outlier } from '../capture/records.ts';
import type { Config } from '../config/schema.ts';
import { type Device, listDevices } from '../host/devices.ts';
import { type IrqOwner, networkInterrupts } from '../host/interrupts.ts';
import { cpuLabelFits, packetFamilies } from '../metrics/families.ts';
import type { Family, Snapshot } from '../metrics/model.ts';
import { processFamilies } from '../metrics/process.ts';
import { type CollectorRun, type ProbeStatus, selfFamilies } from '../metrics/self_families.ts';
import { PROBES } from '../probes/index.ts';
import type { ServeSource } from '../serve/source.ts';
import { Outliers } from './outliers.ts';
import { probeStatuses } from './status.ts';
import { REVISION, VERSION } from './version.ts';

const OTHER_NETNS = '(other netns)';
const OVERFLOW = '(other)';

export class Agent implements ServeSource {
  readonly version = VERSION;
  readonly #log: Logger;
  readonly #outliers: Outliers;
  #config: Config;
  #capture: KernelCapture | undefined;
  #statistics: { close(): void } | undefined;
  #statuses: readonly ProbeStatus[] = [];
  #devices: readonly Device[] = [];
  #interrupts: ReadonlyMap<number, IrqOwner> = new Map();
  readonly #unknownIrqs = new Set<number>();
  readonly #dropped = new Map<string, Set<string>>();
  #cpus: readonly number[] = [];
  #reloadSucceeded = true;
  #ready = false;

  constructor(config: Config, log: Logger) {
    this.#config = config;
    this.#log = log;
    this.#outliers = new Outliers(config.outliers_kept, (outlier) => this.#outlierDevice(outlier));
  }

  /**
   * Attaches what can be attached. Never throws for what the machine refuses: each probe's status
   * and one line of the log say what is missing.
   */
  start(): void {
    const enabled = this.enabledProbes();
    let failure: string | undefined;
    try {
      const addon = loadAddon();
      this.#capture = openKernelCapture(addon, captureOptions(this.#config, false));
      failure = this.#capture.failure;
      this.#capture.startRecords({
        outlier: (outlier) => this.#addOutlier(outlier),
        observation: () => {},
      });
      if (this.#config.bpf_stats) this.#statistics = this.#enableStatistics(addon);
    } catch (error) {
      failure = explain(error);
    }
    this.#statuses = probeStatuses(enabled, this.#capture?.states ?? [], failure);
    for (const { id, up, reason } of this.#statuses) {
      if (!enabled.includes(id)) continue;
      if (!up) this.#log.error({ probe: id, reason }, 'probe is not up');
      else if (reason !== '')
        this.#log.warn({ probe: id, reason }, 'probe is up, with less detail');
    }
    this.#refreshHost();
    this.#chooseCpuLabel();
    this.#ready = true;
  }

  enabledProbes(): string[] {
    return PROBES.map(({ id }) => id).filter((id) => this.#config.probes[id]?.enabled === true);
  }

  statuses(): readonly ProbeStatus[] {
    return this.#statuses;
  }

  probes(): readonly ProbeStatus[] {
    return this.#statuses;
  }

  ready(): boolean {
    return this.#ready;
  }

  outliers(): readonly unknown[] {
    return this.#outliers.list();
  }

  /** Takes over what may change without a restart: budgets, the outliers' rate, labels, log level. */
  reconfigure(config: Config): void {
    this.#config = config;
    this.#capture?.configure(captureOptions(config, false));
    this.#chooseCpuLabel();
    this.#reloadSucceeded = true;
  }

  reloadFailed(): void {
    this.#reloadSucceeded = false;
  }

  async gather(): Promise<Snapshot> {
    const runs: CollectorRun[] = [];
    const collect = <T>(collector: string, work: () => T): T | undefined => {
      const started = performance.now();
      try {
        const result = work();
        runs.push({ collector, success: true, seconds: (performance.now() - started) / 1000 });
        return result;
      } catch (error) {
        const level = error instanceof NothingAttached ? 'debug' : 'error';
        this.#log[level]({ collector, err: error }, 'collector failed');
        runs.push({ collector, success: false, seconds: (performance.now() - started) / 1000 });
        return undefined;
      }
    };
    const reading = collect('kernel', () => this.#capture?.read() ?? nothingAttached());
    collect('devices', () => this.#refreshDevices(reading));
    collect('interrupts', () => this.#refreshInterrupts(reading));
    const families = this.#packetFamilies(reading);
    let process: Family[] = [];
    if (this.#config.process_metrics) {
      const started = performance.now();
      process = await processFamilies();
      const seconds = (performance.now() - started) / 1000;
      runs.push({ collector: 'process', success: true, seconds });
    }
    const self = selfFamilies({
      probes: this.#statuses,
      reading,
      dropped: this.#dropped,
      collectors: runs,
      reloadSucceeded: this.#reloadSucceeded,
      build: {
        version: VERSION,
        revision: REVISION,
        kernel: kernelRelease(),
        nodeversion: globalThis.process.version,
      },
      ...(this.#statistics === undefined ? {} : { programs: this.#capture?.programStats() ?? [] }),
    });
    return [...families, ...self, ...process];
  }

  /** Detaches everything; harmless twice. */
  stop(): void {
    this.#ready = false;
    this.#statistics?.close();
    this.#statistics = undefined;
    this.#capture?.close();
    this.#capture = undefined;
  }

  #packetFamilies(reading: Reading | undefined): Family[] {
    const names = new Map(this.#devices.map(({ ifindex, name }) => [ifindex, name]));
    return packetFamilies(reading, {
      ...this.#known(),
      budgets_ns: budgets(this.#config),
      deviceLabel: (device) => deviceLabel(device, names),
      irqLabel: (irq) => this.#irqLabel(irq),
      exemplars: (probe, labels) => this.#outliers.exemplars(probe, labels),
      cpus: this.#cpus,
      dropped: this.#dropped,
    });
  }

  /** What is known before the first packet: probes, devices, and how many series are allowed. */
  #known() {
    const enabled = this.enabledProbes();
    return {
      probes: PROBES.filter(({ id }) => enabled.includes(id)),
      devices: [...this.#devices.filter(({ up }) => up).map(({ name }) => name), OTHER_NETNS],
      irqDevices: [...new Set([...this.#interrupts.values()].map(({ device }) => device))],
      seriesMax: this.#config.series_max,
    };
  }

  #chooseCpuLabel(): void {
    const cpus = Array.from({ length: this.#capture?.cpus ?? 0 }, (_, cpu) => cpu);
    const { cpu: label } = this.#config.labels;
    const wanted =
      label === 'always' || (label === 'auto' && cpuLabelFits(this.#known(), cpus.length));
    this.#cpus = wanted ? cpus : [];
  }

  #addOutlier(outlier: Outlier): void {
    const named = this.#outliers.add(outlier);
    this.#log.debug({ outlier: named }, 'outlier');
  }

  #outlierDevice(outlier: Outlier): string {
    if (outlier.otherNetns) return OTHER_NETNS;
    if (outlier.ifindex === 0) return this.#irqLabel(outlier.irq);
    return this.#devices.find(({ ifindex }) => ifindex === outlier.ifindex)?.name ?? OVERFLOW;
  }

  #irqLabel(irq: IrqKey): string {
    if (irq === 'overflow') return OVERFLOW;
    return this.#interrupts.get(irq)?.device ?? '';
  }

  #refreshHost(): void {
    try {
      this.#devices = listDevices();
      this.#interrupts = networkInterrupts();
    } catch (error) {
      this.#log.error({ err: error }, 'cannot read the network devices from /sys and /proc');
    }
  }

  /**
   * Asked after the counters were read: a device that had packets and is not listed is gone, and
   * its slots are freed for others.
   */
  #refreshDevices(reading: Reading | undefined): void {
    const devices = listDevices();
    const there = new Set(devices.map(({ ifindex }) => ifindex));
    const gone = (reading?.received ?? []).flatMap(({ device }) =>
      typeof device === 'number' && !there.has(device) ? [device] : [],
    );
    this.#capture?.forgetDevices(new Set(gone));
    const changed = JSON.stringify(devices) !== JSON.stringify(this.#devices);
    this.#devices = devices;
    if (changed) this.#interrupts = networkInterrupts();
  }

  /** An interrupt that nobody has named yet: its device may just have come up. Asked once each. */
  #refreshInterrupts(reading: Reading | undefined): void {
    const unknown = (reading?.irqs ?? []).flatMap(({ irq }) =>
      irq === 'overflow' || this.#interrupts.has(irq) || this.#unknownIrqs.has(irq) ? [] : [irq],
    );
    if (unknown.length === 0) return;
    this.#interrupts = networkInterrupts();
    for (const irq of unknown) if (!this.#interrupts.has(irq)) this.#unknownIrqs.add(irq);
  }

  #enableStatistics(addon: Addon): { close(): void } | undefined {
    try {
      return addon.enableStats();
    } catch (error) {
      this.#log.warn({ reason: explain(error) }, 'BPF statistics cannot be turned on');
      return undefined;
    }
  }
}

/** Told at start, once for each probe; a scrape only says that there is nothing to read. */
class NothingAttached extends Error {}

function nothingAttached(): never {
  throw new NothingAttached('nothing could be attached');
}

/** What the configuration means for the capture. */
export function captureOptions(config: Config, exact: boolean) {
  return {
    probes: PROBES.map(({ id }) => id).filter((id) => config.probes[id]?.enabled === true),
    exact,
    devices: config.devices_max,
    pagesPerCpu: config.events.pages_per_cpu,
    budgets_ns: budgets(config),
    perCpuPerSecond: config.events.per_cpu_per_second,
  };
}

function budgets(config: Config): Record<string, number> {
  return Object.fromEntries(
    Object.entries(config.probes).map(([id, { budget_ns }]) => [id, budget_ns]),
  );
}

function deviceLabel(device: DeviceKey, names: ReadonlyMap<number, string>): string | undefined {
  if (device === 'other_netns') return OTHER_NETNS;
  if (device === 'overflow') return OVERFLOW;
  return names.get(device);
}

/** One plain sentence for whatever kept the programs from being loaded at all. */
export function explain(error: unknown): string {
  if (isBpfError(error)) return explainObject(error);
  if (!(error instanceof Error)) return String(error);
  // The first line says what is wrong and the last one what to do; between them are details.
  const lines = error.message.split('\n').map((line) => line.trim());
  return [...new Set([lines[0], lines.at(-1)])].join('. ');
}

function kernelRelease(): string {
  return readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim();
}
