// The CPUs that have a label of their own: the same in all per-CPU families of the host. The others
// are summed under cpu="(other)". Pure. Separate from the cap itself, since a large machine has too many
// rows of CPUs to build them all first.

import { OTHER } from '../readings/names.ts';

/** With the default of 2,000 series: 16 CPUs, whose 19 series each are 15 % of them. */
const SERIES_FOR_EACH_CPU = 125;

export class ShownCpus {
  readonly #cpusMax: number;
  readonly #shown = new Set<number>();
  readonly #others = new Set<number>();

  constructor(seriesMax: number) {
    this.#cpusMax = Math.max(1, Math.floor(seriesMax / SERIES_FOR_EACH_CPU));
  }

  /**
   * Takes in CPUs that are new, at first those with the most NET_RX softirqs so far; the lower number
   * where that is equal. Which CPU is shown never changes: labels that come and go break queries.
   */
  add(cpus: readonly number[], netRx: ReadonlyMap<number, number> | undefined): void {
    const fresh = cpus.filter((cpu) => !this.#shown.has(cpu) && !this.#others.has(cpu));
    if (fresh.length === 0) return;
    const runs = (cpu: number): number => netRx?.get(cpu) ?? 0;
    for (const cpu of fresh.sort((a, b) => runs(b) - runs(a) || a - b)) {
      if (this.#shown.size < this.#cpusMax) this.#shown.add(cpu);
      else this.#others.add(cpu);
    }
  }

  label(cpu: number): string {
    return this.#shown.has(cpu) ? String(cpu) : OTHER;
  }

  /** How many CPUs share a label. */
  get others(): number {
    return this.#others.size;
  }
}
