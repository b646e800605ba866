// The agent: one capture, the host's names for its numbers, and the snapshot that a scrape gets.
// Does nothing while nobody scrapes; what the kernel counts waits there.

import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { type Addon, loadAddon } from '../capture/addon.ts';
import type { BpftraceBackend, ScriptStatus } from '../capture/bpftrace/backend.ts';
import type { ScriptReading } from '../capture/bpftrace/script_reading.ts';
import { explainObject, isBpfError } from '../capture/explain.ts';
import { type KernelCapture, openKernelCapture } from '../capture/kernel_capture.ts';
import type { IrqKey, Reading } from '../capture/reading.ts';
import type { Outlier } from '../capture/records.ts';
import type { Config } from '../config/schema.ts';
import { cpuLabelFits, packetFamilies } from '../metrics/families.ts';
import type { Family, Snapshot } from '../metrics/model.ts';
import { processFamilies } from '../metrics/process.ts';
import { type CollectorRun, type ProbeStatus, selfFamilies } from '../metrics/self_families.ts';
import { PROBES } from '../probes/index.ts';
import type { ServeSource } from '../serve/source.ts';
import { HostNames, OTHER_NETNS, OVERFLOW } from './host_names.ts';
import { Outliers } from './outliers.ts';
import { probeStatuses, withScripts } from './status.ts';
import { REVISION, VERSION } from './version.ts';

export class Agent implements ServeSource {
  readonly version = VERSION;
  readonly #log: Logger;
  readonly #outliers: Outliers;
  #config: Config;
  #capture: KernelCapture | undefined;
  #scripts: BpftraceBackend | undefined;
  #statistics: { close(): void } | undefined;
  /** By libbpf alone. */
  #statuses: readonly ProbeStatus[] = [];
  readonly #names = new HostNames();
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
   * Attaches what can be attached. Never fails for what the machine refuses: each probe's status and
   * one line of the log say what is missing. Resolves at once, or when bpftrace has attached what is
   * left to it or gave up; meanwhile everything can be asked already.
   */
  async start(): Promise<void> {
    const { backend } = this.#config;
    const enabled = this.enabledProbes();
    const chosen = backend === 'bpftrace';
    const failure = chosen ? undefined : this.#startLibbpf(enabled);
    this.#statuses = chosen
      ? probeStatuses(enabled, [], 'bpftrace is starting')
      : probeStatuses(enabled, this.#capture?.states ?? [], failure);
    this.#readNames();
    this.#chooseCpuLabel();
    const missing = this.#statuses.filter(({ id, up }) => !up && enabled.includes(id));
    if (backend !== 'libbpf' && missing.length > 0) {
      const ids = missing.map(({ id }) => id);
      this.#narrowLibbpf(enabled.filter((id) => !ids.includes(id)));
      await this.#startScripts(ids);
    }
    for (const { id, up, reason } of this.statuses()) {
      if (!enabled.includes(id)) continue;
      if (!up) this.#log.error({ probe: id, reason }, 'probe is not up');
      else if (reason !== '')
        this.#log.warn({ probe: id, reason }, 'probe is up, with less detail');
    }
    this.#ready = true;
  }

  /** Returns why nothing could be loaded at all. */
  #startLibbpf(probes: readonly string[]): string | undefined {
    try {
      const addon = loadAddon();
      const options = { ...captureOptions(this.#config, false), probes };
      this.#capture = openKernelCapture(addon, options);
      const { failure } = this.#capture;
      this.#startRecords();
      if (this.#config.bpf_stats) this.#statistics = this.#enableStatistics(addon);
      return failure;
    } catch (error) {
      return explain(error);
    }
  }

  /** No program goes on counting for a probe that bpftrace is to measure. */
  #narrowLibbpf(probes: readonly string[]): void {
    this.#statistics?.close();
    this.#statistics = undefined;
    this.#capture?.close();
    this.#capture = undefined;
    if (probes.length > 0) this.#startLibbpf(probes);
  }

  async #startScripts(probes: readonly string[]): Promise<void> {
    // Loaded where it is needed: what runs processes takes its time and its memory.
    const { BpftraceBackend } = await import('../capture/bpftrace/backend.ts');
    this.#scripts = new BpftraceBackend(probes, {
      onChange: (status) => this.#scriptChanged(status),
      onProblem: (probe, problem) => this.#log.warn({ probe, problem }, 'bpftrace output ignored'),
    });
    await this.#scripts.start();
  }

  /** What happens before everything has settled is told by start(). */
  #scriptChanged({ probe, state }: ScriptStatus): void {
    if (!this.#ready) return;
    if (state.phase === 'up') this.#log.info({ probe }, 'probe is up again');
    else if (state.phase === 'restarting')
      this.#log.warn({ probe, reason: state.reason }, 'probe is not up');
    else if (state.phase === 'down')
      this.#log.error({ probe, reason: state.reason }, 'probe is not up');
  }

  enabledProbes(): string[] {
    return PROBES.map(({ id }) => id).filter((id) => this.#config.probes[id]?.enabled === true);
  }

  statuses(): readonly ProbeStatus[] {
    const chosen = this.#config.backend === 'bpftrace';
    return withScripts(this.#statuses, this.#scripts?.statuses() ?? [], chosen);
  }

  probes(): readonly ProbeStatus[] {
    return this.statuses();
  }

  /** Whether bpftrace measures a probe, and may have to be started again. */
  usesBpftrace(): boolean {
    return this.#scripts?.statuses().some(({ state }) => state.phase !== 'down') === true;
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
    // Where bpftrace does it all there is no other counter to read.
    const reading = this.#onlyScripts()
      ? undefined
      : collect('kernel', () => this.#capture?.read() ?? nothingAttached());
    const scripts = await this.#readScripts(runs);
    collect('devices', () => this.#refreshDevices(reading));
    collect('interrupts', () => this.#names.refreshInterrupts(irqsOf(reading, scripts)));
    const families = this.#packetFamilies(reading, scripts);
    let process: Family[] = [];
    if (this.#config.process_metrics) {
      const started = performance.now();
      process = await processFamilies();
      const seconds = (performance.now() - started) / 1000;
      runs.push({ collector: 'process', success: true, seconds });
    }
    const self = selfFamilies({
      probes: this.statuses(),
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

  /** Detaches everything; harmless twice. Resolves when no process is left, either. */
  async stop(): Promise<void> {
    this.#ready = false;
    this.#statistics?.close();
    this.#statistics = undefined;
    this.#capture?.close();
    this.#capture = undefined;
    await this.#scripts?.stop();
  }

  #onlyScripts(): boolean {
    if (this.#config.backend === 'bpftrace') return true;
    const measured = this.#statuses.some(({ up }) => up);
    return !measured && this.usesBpftrace();
  }

  async #readScripts(runs: CollectorRun[]): Promise<ScriptReadings | undefined> {
    if (this.#scripts === undefined) return undefined;
    const started = performance.now();
    const { readings, stale } = await this.#scripts.read();
    const seconds = (performance.now() - started) / 1000;
    runs.push({ collector: 'bpftrace', success: stale.length === 0, seconds });
    if (stale.length > 0) this.#log.warn({ probes: stale }, 'bpftrace did not answer in time');
    return readings;
  }

  #packetFamilies(reading: Reading | undefined, scripts: ScriptReadings | undefined): Family[] {
    const irqLabel = (irq: IrqKey): string => this.#names.irq(irq);
    return packetFamilies(reading, {
      ...this.#known(),
      budgets_ns: budgets(this.#config),
      deviceLabel: (device) => this.#names.device(device),
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
      ...this.#names.known(),
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

  /** Outliers go through perf rings, which may be denied where all else is permitted. */
  #startRecords(): void {
    try {
      this.#capture?.startRecords({
        outlier: (outlier) => this.#addOutlier(outlier),
        observation: () => {},
      });
    } catch (error) {
      if (!isBpfError(error)) throw error;
      this.#log.warn({ reason: explain(error) }, 'outliers are counted, but not shown');
    }
  }

  #addOutlier(outlier: Outlier): void {
    const named = this.#outliers.add(outlier);
    this.#log.debug({ outlier: named }, 'outlier');
  }

  #outlierDevice(outlier: Outlier): string {
    if (outlier.otherNetns) return OTHER_NETNS;
    if (outlier.ifindex === 0) return this.#names.irq(outlier.irq);
    return this.#names.device(outlier.ifindex) ?? OVERFLOW;
  }

  #readNames(): void {
    try {
      this.#names.read();
    } catch (error) {
      this.#log.error({ err: error }, 'cannot read the network devices from /sys and /proc');
    }
  }

  /**
   * Asked after the counters were read: a device that had packets and is not listed is gone, and
   * its slots are freed for others.
   */
  #refreshDevices(reading: Reading | undefined): void {
    const seen = (reading?.received ?? []).map(({ device }) => device);
    this.#capture?.forgetDevices(this.#names.refreshDevices(seen));
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

type ScriptReadings = ReadonlyMap<string, ScriptReading>;

function irqsOf(reading: Reading | undefined, scripts: ScriptReadings | undefined): IrqKey[] {
  const ofScripts = [...(scripts?.values() ?? [])].flatMap(({ latencies }) =>
    latencies.flatMap(({ irq }) => (irq === undefined ? [] : [irq])),
  );
  return [...(reading?.irqs ?? []).map(({ irq }) => irq), ...ofScripts];
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
