// The cap on exported series: the last step of a gather, after which at most `series_max` are left.
//
//   1. A family of series_shares.ts has a room: its share of what the other families leave.
//   2. A row (one label set) that is not zero takes a place and keeps it until it is gone; within
//      one gather the highest value comes first. A histogram may go beyond its room as long as that
//      takes nothing from the rooms of others.
//   3. A row that finds no place is summed into the row whose folded labels say "(other)". That row
//      takes the place of the family's lowest one. It never runs backwards: of a folded row that is
//      gone it keeps what it had. Gauges are settings, whose sum says nothing: they are left out.
//   4. Rows of zero are shown while places are left over, and give way to others. Where they are not
//      all shown, "(other)" is there from the start, with 0.
//
// What is folded is counted, once each, in rxscope_series_dropped_total. CPUs are folded before
// this: see shown_cpus.ts. Knows nothing of how a family comes to be.

import { FamilyPlaces, type Room } from './family_places.ts';
import type { Family } from './model.ts';
import { seriesOf } from './samples.ts';
import { SHARES } from './series_shares.ts';

/** What families that are never folded may grow by after the places were given away. */
const SPARE_SERIES = 20;

export class SeriesCap {
  readonly #seriesMax: number;
  /** Of the families that may be folded, by name. */
  readonly #places = new Map<string, FamilyPlaces>();

  /** `seriesMax`: series in text 0.0.4, which has a line for each. */
  constructor(seriesMax: number) {
    this.#seriesMax = seriesMax;
  }

  /**
   * The families of one gather, all of them, as they are to be exported, and
   * rxscope_series_dropped_total behind them. To be called once a gather, since it remembers who
   * has a place. A family that is missing in a gather keeps its places.
   *
   * `foldedBefore`: label sets that were folded before this, by family (those of CPUs).
   */
  apply(
    families: readonly Family[],
    foldedBefore: ReadonlyMap<string, number> = new Map(),
  ): Family[] {
    for (const family of families) this.#begin(family);
    const dropped = this.#droppedFamily(foldedBefore);
    const fixed = [...families, dropped]
      .filter(({ name }) => !this.#places.has(name))
      .reduce((sum, family) => sum + seriesIn(family), 0);
    const listed = [...this.#places.values()];
    admit(listed, this.#seriesMax - fixed - SPARE_SERIES);
    showZeros(listed, this.#seriesMax - fixed);
    return [
      ...families.map((family) => this.#places.get(family.name)?.family() ?? family),
      this.#droppedFamily(foldedBefore),
    ];
  }

  #begin(family: Family): void {
    const share = SHARES[family.name];
    if (share === undefined) return;
    const places = this.#places.get(family.name) ?? new FamilyPlaces(share);
    this.#places.set(family.name, places);
    places.begin(family);
  }

  #droppedFamily(foldedBefore: ReadonlyMap<string, number>): Family {
    const dropped = new Map(foldedBefore);
    for (const [name, places] of this.#places) {
      dropped.set(name, (dropped.get(name) ?? 0) + places.dropped);
    }
    return {
      type: 'counter',
      name: 'rxscope_series_dropped_total',
      help: 'Label sets without series of their own because the cap on series was reached: counters and histograms are summed under "(other)", settings are left out.',
      samples: [...dropped].map(([family, value]) => ({ labels: { family }, value })),
    };
  }
}

/** Gives each new row a place, or folds it; `free` series are for all listed families together. */
function admit(listed: readonly FamilyPlaces[], free: number): void {
  const shares = listed.reduce((sum, one) => sum + one.share.rows * one.rowSeries, 0);
  for (const one of listed) one.room = Math.max(1, Math.floor((one.share.rows * free) / shares));
  const taken = (): number => listed.reduce((sum, one) => sum + one.taken * one.rowSeries, 0);
  const promised = (): number => listed.reduce((sum, one) => sum + one.promised * one.rowSeries, 0);
  const waiting = listed.map((one) => {
    const room: Room = {
      mayTake: () =>
        one.taken < one.room
          ? taken() + one.rowSeries <= free
          : one.mayExceedRoom && promised() + one.rowSeries <= free,
      fits: () => taken() + one.rowSeries <= free + SPARE_SERIES,
    };
    return { one, room, rows: one.newRows() };
  });
  // In turn, each time as many rows as its share: so what is left beyond the rooms is shared out.
  while (waiting.some(({ rows }) => rows.length > 0)) {
    for (const { one, room, rows } of waiting) {
      for (const row of rows.splice(0, one.share.rows)) one.place(row, room);
    }
  }
}

/** First each family up to its room, then whoever comes first. */
function showZeros(listed: readonly FamilyPlaces[], free: number): void {
  let left = free - listed.reduce((sum, one) => sum + one.taken * one.rowSeries, 0);
  for (const one of listed) left -= one.showZeros(one.room, left);
  for (const one of listed) left -= one.showZeros(Infinity, left);
}

function seriesIn(family: Family): number {
  let series = 0;
  for (const sample of family.samples) series += seriesOf(sample);
  return series;
}
