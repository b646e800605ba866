// From readings to what is exported. Remembers what only an exporter has to: who has a place under the cap on
// series, which CPUs have a label, and what the programs had cost at the last scrape. One reading is exported
// once, however many ask for it.

import { PROBES } from '../probes/index.ts';
import type { Collectors } from '../readings/collectors.ts';
import type { Known, Labels, NamedReading } from '../readings/named_reading.ts';
import { dropFamilies } from './drop_families.ts';
import { cpuLabelFits, packetFamilies } from './families.ts';
import { hostFamilies } from './host_families.ts';
import type { Exemplar, Family, Snapshot } from './model.ts';
import { ProgramShare } from './program_share.ts';
import { type AgentState, selfFamilies } from './self_families.ts';
import { SeriesCap } from './series_cap.ts';
import { ShownCpus } from './shown_cpus.ts';

export interface ExportOptions {
  /** Ids of what is measured. */
  readonly probes: readonly string[];
  /** By probe id. */
  readonly budgets_ns: Readonly<Record<string, number>>;
  readonly seriesMax: number;
  readonly cpuLabel: 'always' | 'never' | 'auto';
}

/** What is exported beside a reading, as it stands then. */
export interface ExportSources {
  state(): AgentState;
  exemplars(probe: string, labels: Labels): readonly Exemplar[];
  /** Families of the process itself; none where they are switched off. */
  process(): Promise<Family[]>;
}

export class Exporter {
  #options: ExportOptions;
  readonly #sources: ExportSources;
  readonly #collectors: Collectors;
  #cap: SeriesCap;
  #shownCpus: ShownCpus;
  readonly #share = new ProgramShare();
  /** CPUs with histograms of their own. */
  #cpus: readonly number[] = [];
  readonly #exported = new WeakMap<NamedReading, Promise<Snapshot>>();

  constructor(options: ExportOptions, sources: ExportSources, collectors: Collectors) {
    this.#options = options;
    this.#sources = sources;
    this.#collectors = collectors;
    this.#cap = new SeriesCap(options.seriesMax);
    this.#shownCpus = new ShownCpus(options.seriesMax);
  }

  reconfigure(options: ExportOptions): void {
    if (options.seriesMax !== this.#options.seriesMax) {
      this.#cap = new SeriesCap(options.seriesMax);
      this.#shownCpus = new ShownCpus(options.seriesMax);
    }
    this.#options = options;
  }

  /** Decides on the cpu label. Not at each reading: labels that come and go break queries. */
  chooseCpuLabel(known: Known, cpus: number): void {
    const { cpuLabel, seriesMax } = this.#options;
    const wanted =
      cpuLabel === 'always' ||
      (cpuLabel === 'auto' && cpuLabelFits(this.#probes(), known, cpus, seriesMax));
    this.#cpus = wanted ? Array.from({ length: cpus }, (_, cpu) => cpu) : [];
  }

  /** Readings are to tell CPUs apart. */
  get perCpu(): boolean {
    return this.#cpus.length > 0;
  }

  /** A part that fails is told inside the snapshot, never by a rejection. */
  snapshot(reading: NamedReading): Promise<Snapshot> {
    const known = this.#exported.get(reading);
    if (known !== undefined) return known;
    const snapshot = this.#export(reading);
    this.#exported.set(reading, snapshot);
    return snapshot;
  }

  async #export(reading: NamedReading): Promise<Snapshot> {
    const { budgets_ns, seriesMax } = this.#options;
    const { packets, scripts, known, host, programs } = reading;
    const { exemplars } = this.#sources;
    const probes = this.#probes();
    const about = { known, seriesMax };
    const packetContext = { ...about, probes, budgets_ns, exemplars, scripts, cpus: this.#cpus };
    const counted = this.#options.probes.includes('drops');
    const families = [
      ...packetFamilies(packets, packetContext),
      ...dropFamilies({ ...about, counted, packets, host }),
    ];
    const ofHost = host && hostFamilies(host, this.#shownCpus, seriesMax);
    const runs = this.#collectors.begin();
    const process = (await runs.wait('process', () => this.#sources.process())) ?? [];
    const self = selfFamilies({
      probes: reading.probes,
      packets,
      collectors: [...reading.collectors, ...runs.runs],
      ...this.#sources.state(),
      ...(programs === undefined
        ? {}
        : { programs, programShare: this.#share.since(programs, reading.atNs) }),
    });
    return this.#cap.apply(
      [...families, ...(ofHost?.families ?? []), ...self, ...process],
      ofHost?.foldedCpus,
    );
  }

  #probes() {
    return PROBES.filter(({ id }) => this.#options.probes.includes(id));
  }
}
