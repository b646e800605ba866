// The agent: one capture, the host's names for its numbers, and the snapshot that a scrape gets.
// Does nothing while nobody scrapes; what the kernel counts waits there.

import { release } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type Addon, loadAddon } from '../addon/addon.ts';
import type { BpftraceBackend, ScriptStatus } from '../capture/bpftrace/backend.ts';
import { explain, isBpfError } from '../capture/explain.ts';
import { type KernelCapture, openKernelCapture } from '../capture/kernel_capture.ts';
import { patiently } from '../capture/passing.ts';
import type { Outlier } from '../capture/records.ts';
import type { ProbeStatus } from '../capture/status.ts';
import { probeStatuses, withScripts } from '../capture/status.ts';
import type { Config } from '../config/schema.ts';
import { exemplarOf } from '../metrics/exemplars.ts';
import { Exporter, type ExportOptions } from '../metrics/exporter.ts';
import type { Snapshot } from '../metrics/model.ts';
import { processFamilies } from '../metrics/process.ts';
import type { AgentState } from '../metrics/self_families.ts';
import { hasScript } from '../probes/index.ts';
import { Collectors } from '../readings/collectors.ts';
import { DropEvents, type NamedDrop } from '../readings/drop_events.ts';
import type { NamedReading } from '../readings/named_reading.ts';
import { type NamedOutlier, Outliers } from '../readings/outliers.ts';
import type { ServeSource } from '../serve/source.ts';
import { budgets, captureOptions, enabledIn } from './capture_options.ts';
import { type Extent, Reader } from './reader.ts';
import { singleFlight } from './single_flight.ts';
import { REVISION, VERSION } from './version.ts';

/** From the least. */
const EXTENTS: readonly Extent[] = ['counters', 'all'];

export class Agent implements ServeSource {
  readonly version = VERSION;
  readonly #log: Logger;
  readonly #outliers: Outliers;
  readonly #drops: DropEvents;
  readonly #reader: Reader;
  readonly #exporter: Exporter;
  readonly #flight = singleFlight<NamedReading>(async (signal, extent) => {
    // What came at the same time is heard first. Without a wait, each of a crowd would have a reading made for it.
    await setImmediate();
    signal.throwIfAborted();
    return this.#reader.read(this.#sources(), EXTENTS[extent] ?? 'all', signal);
  });
  #config: Config;
  #capture: KernelCapture | undefined;
  #scripts: BpftraceBackend | undefined;
  #statistics: { close(): void } | undefined;
  /** By libbpf alone. */
  #statuses: readonly ProbeStatus[] = [];
  #reloadSucceeded = true;
  #webReloadSucceeded = true;
  #certificateExpiresAt: () => number | undefined = () => undefined;
  #lostLogLines: () => number = () => 0;
  #ready = false;
  #stopped = false;

  constructor(config: Config, log: Logger) {
    this.#config = config;
    this.#log = log;
    this.#reader = new Reader(this.enabledProbes().includes('drops'), log);
    this.#exporter = new Exporter(
      this.#exportOptions(),
      {
        state: () => this.#state(),
        exemplars: (probe, labels) => this.#outliers.ofSeries(probe, labels).map(exemplarOf),
        process: async () => (this.#config.process_metrics ? processFamilies() : []),
      },
      new Collectors(log),
    );
    this.#outliers = new Outliers(config.outliers_kept, (outlier) =>
      this.#reader.outlierDevice(outlier),
    );
    this.#drops = new DropEvents(config.outliers_kept, this.#reader);
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
    const cpus = this.#capture?.cpus ?? 0;
    this.#reader.start(cpus > 0);
    this.#exporter.chooseCpuLabel(this.#reader.known(), cpus);
    const missing = this.#statuses.filter(
      ({ id, up }) => !up && enabled.includes(id) && hasScript(id),
    );
    if (backend !== 'libbpf' && missing.length > 0) {
      const ids = missing.map(({ id }) => id);
      this.#narrowLibbpf(enabled.filter((id) => !ids.includes(id)));
      await this.#startScripts(ids);
      if (this.#stopped) return;
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
    const enabled = enabledIn(this.#config);
    return this.#config.backend === 'bpftrace' ? enabled.filter(hasScript) : enabled;
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

  outliers(): readonly NamedOutlier[] {
    return this.#outliers.list();
  }

  drops(): readonly NamedDrop[] {
    return this.#drops.list();
  }

  /** Takes over what may change without a restart: budgets, the outliers' rate, labels, log level. */
  reconfigure(config: Config): void {
    this.#config = config;
    this.#capture?.configure(captureOptions(config, false));
    this.#exporter.reconfigure(this.#exportOptions());
    this.#exporter.chooseCpuLabel(this.#reader.known(), this.#capture?.cpus ?? 0);
    this.#reloadSucceeded = true;
  }

  reloadFailed(): void {
    this.#reloadSucceeded = false;
  }

  /** The file of --web.config.file has been read again; see web_access.ts. */
  webReloaded(taken: boolean): void {
    this.#webReloadSucceeded = taken;
  }

  /** `of` is asked at each gather; undefined without TLS. */
  showCertificateExpiry(of: () => number | undefined): void {
    this.#certificateExpiresAt = of;
  }

  /** `of` is asked at each gather. */
  showLostLogLines(of: () => number): void {
    this.#lostLogLines = of;
  }

  /**
   * Everything at one moment, or the `counters` alone, which costs little. Callers at the same time share one
   * reading; who comes later has a fresh one. Nobody's reading depends on whether others read, too. A part
   * that fails is told inside; rejects only with the signal's reason when it aborts.
   */
  read(extent: Extent, signal: AbortSignal): Promise<NamedReading> {
    return this.#flight(signal, EXTENTS.indexOf(extent));
  }

  async gather(signal: AbortSignal): Promise<Snapshot> {
    return this.#exporter.snapshot(await this.read('all', signal));
  }

  #sources() {
    const enabled = this.enabledProbes();
    return {
      capture: this.#capture,
      scripts: this.#scripts,
      statuses: this.statuses().filter(({ id }) => enabled.includes(id)),
      onlyScripts: this.#onlyScripts(),
      statistics: this.#statistics !== undefined,
      perCpu: this.#exporter.perCpu,
    };
  }

  #state(): AgentState {
    return {
      reloadSucceeded: this.#reloadSucceeded && this.#webReloadSucceeded,
      certificateExpiresAt: this.#certificateExpiresAt(),
      lostLogLines: this.#lostLogLines(),
      build: {
        version: VERSION,
        revision: REVISION,
        // By a system call: /proc may hide its file.
        kernel: release(),
        nodeversion: process.version,
      },
    };
  }

  #exportOptions(): ExportOptions {
    const { series_max, labels } = this.#config;
    return {
      probes: this.enabledProbes(),
      budgets_ns: budgets(this.#config),
      seriesMax: series_max,
      cpuLabel: labels.cpu,
    };
  }

  /** Detaches everything; harmless twice. Resolves when no process is left, either. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#ready = false;
    this.#statistics?.close();
    this.#statistics = undefined;
    this.#capture?.close();
    this.#capture = undefined;
    this.#reader.close();
    await this.#scripts?.stop();
  }

  #onlyScripts(): boolean {
    if (this.#config.backend === 'bpftrace') return true;
    const measured = this.#statuses.some(({ up }) => up);
    return !measured && this.usesBpftrace();
  }

  /** Outliers go through perf rings, which may be denied where all else is permitted. */
  #startRecords(): void {
    try {
      this.#capture?.startRecords({
        outlier: (outlier) => this.#addOutlier(outlier),
        observation: () => {},
        drop: (drop) => this.#drops.add(drop),
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

  #enableStatistics(addon: Addon): { close(): void } | undefined {
    try {
      return patiently(() => addon.enableStats());
    } catch (error) {
      this.#log.warn({ reason: explain(error) }, 'BPF statistics cannot be turned on');
      return undefined;
    }
  }
}
