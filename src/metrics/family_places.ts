// One family's label sets under the cap on series: which have a place of their own, which are folded
// into "(other)", and what that keeps of those that are gone. How many places there are is decided
// in series_cap.ts, which states the rules.

import { OTHER, REMOVED } from '../readings/names.ts';
import type { Family, Labels } from './model.ts';
import {
  differenceOf,
  hasFallen,
  keyOf,
  relabelled,
  type Sample,
  seriesOf,
  sumOfAll,
  weightOf,
  withoutRounding,
} from './samples.ts';
import type { Share } from './series_shares.ts';

/** One label set of this gather. */
export interface Row {
  readonly key: string;
  readonly sample: Sample;
}

/** What is left over, asked before each place that is taken. */
export interface Room {
  /** May the family take one more place? */
  mayTake(): boolean;
  /** Would one more place still be below the cap, be it at the expense of others' later rows? */
  fits(): boolean;
}

/** A row that has no place. */
interface Folded {
  /** Of this gather. */
  sample: Sample;
  /** The row that it is summed into. */
  readonly otherKey: string;
}

/** A row that says "(other)". */
interface Other {
  readonly labels: Labels;
  /** Sum of what was folded into it and is gone. */
  kept: Sample | undefined;
  /** As it was exported last. */
  last: Sample | undefined;
}

export class FamilyPlaces {
  /** Label sets folded or left out so far, each counted once as long as it is there. */
  dropped = 0;
  /** Places that the family is sure of. */
  room = 1;
  /** Series of one row: the same for all rows of a family. */
  rowSeries = 1;
  readonly share: Share;
  #family: Family = { type: 'gauge', name: '', help: '', samples: [] };
  #rows: ReadonlyMap<string, Row> = new Map();
  readonly #own = new Set<string>();
  /** By key. */
  readonly #folded = new Map<string, Folded>();
  readonly #others = new Map<string, Other>();
  /**
   * By key of a row that says "(removed)": what is a part of it and stays in "(other)", which must not
   * fall, since it was folded into that when its device went.
   */
  readonly #kept = new Map<string, Sample>();
  /** By key: rows that say "(removed)" as they were last. */
  readonly #removed = new Map<string, Sample>();
  /** Rows of zero that are shown in this gather. */
  readonly #zeros = new Set<string>();
  /** Rows that say "(other)" and have nothing folded into them yet. */
  readonly #zeroOthers = new Map<string, Sample>();

  constructor(share: Share) {
    this.share = share;
  }

  /** Takes in a gather: gives up the places of what is gone. */
  begin(family: Family): void {
    this.#family = family;
    const rows = new Map(
      family.samples.map((sample): [string, Row] => {
        const key = keyOf(sample.labels);
        return [key, { key, sample }];
      }),
    );
    this.#rows = rows;
    const [first] = family.samples;
    if (first !== undefined) this.rowSeries = seriesOf(first);
    this.#zeros.clear();
    this.#zeroOthers.clear();
    for (const key of this.#own) if (!this.#rows.has(key)) this.#own.delete(key);
    const ended = [...this.#folded].filter(([key, { sample }]) => this.#hasEnded(key, sample));
    for (const [, folded] of ended) this.#keepOfRemoved(folded);
    for (const row of this.#rows.values())
      if (row.sample.labels.device === REMOVED) rows.set(row.key, this.#withoutKept(row));
    for (const [, folded] of ended) this.#keep(folded);
    for (const [key, folded] of this.#folded) this.#follow(key, folded);
  }

  /** Places taken. */
  get taken(): number {
    return this.#own.size + this.#others.size;
  }

  /** Places that nobody else may count on: those taken, and up to its room one for each row. */
  get promised(): number {
    return Math.max(this.taken, Math.min(this.room, this.#rows.size));
  }

  get mayExceedRoom(): boolean {
    return this.#family.type === 'histogram';
  }

  /** Rows that want a place and were never refused one; the highest first. */
  newRows(): Row[] {
    const rows = [...this.#rows.values()].filter(
      (row) =>
        (this.#isGauge || this.#rank(row) > 0) &&
        !this.#own.has(row.key) &&
        !this.#folded.has(row.key),
    );
    // Settings have no order but their own.
    return this.#isGauge ? rows : rows.sort((a, b) => this.#rank(b) - this.#rank(a));
  }

  /** Gives the row a place, or folds it. */
  place(row: Row, room: Room): void {
    const isOther = !this.#isGauge && keyOf(this.#otherLabels(row)) === row.key;
    if (!isOther && room.mayTake()) this.#own.add(row.key);
    else this.#fold(row, room);
  }

  /**
   * Shows rows of zero, as many as `seriesMax` series allow and up to `rowsMax` rows in all. Where that
   * leaves some out, the "(other)" that they belong to comes first, beyond `rowsMax` if need be. Returns
   * how many series more it takes than before.
   */
  showZeros(rowsMax: number, seriesMax: number): number {
    const hidden = [...this.#rows.values()].filter(({ key }) => !this.#isShown(key));
    const before = this.#zeros.size + this.#zeroOthers.size;
    const most = before + Math.floor(seriesMax / this.rowSeries);
    if (this.#zeros.size + hidden.length <= Math.min(rowsMax - this.taken, most)) {
      for (const { key } of hidden) this.#zeros.add(key);
      this.#zeroOthers.clear();
    } else {
      for (const row of this.#isGauge ? [] : hidden) {
        const labels = this.#otherLabels(row);
        const isThere = this.#others.has(keyOf(labels));
        if (isThere || this.#zeros.size + this.#zeroOthers.size >= most) continue;
        this.#zeroOthers.set(keyOf(labels), relabelled(row.sample, labels));
      }
      for (const { key } of hidden) {
        const rows = this.#zeros.size + this.#zeroOthers.size;
        if (rows >= Math.min(rowsMax - this.taken, most)) break;
        if (!this.#zeroOthers.has(key)) this.#zeros.add(key);
      }
    }
    return (this.#zeros.size + this.#zeroOthers.size - before) * this.rowSeries;
  }

  /** As it is to be exported. */
  family(): Family {
    const samples: Sample[] = [];
    for (const { key, sample } of this.#rows.values()) {
      if (this.#own.has(key) || this.#zeros.has(key)) samples.push(sample);
    }
    if (!this.#isGauge) samples.push(...this.#otherSamples(), ...this.#zeroOthers.values());
    // The samples are of the type of the family that they came from.
    return { ...this.#family, samples } as Family;
  }

  get #isGauge(): boolean {
    return this.#family.type === 'gauge';
  }

  #rank({ sample }: Row): number {
    const { first } = this.share;
    const isFirst = first !== undefined && sample.labels[first.label] === first.value;
    return isFirst ? Number.MAX_VALUE : weightOf(sample);
  }

  /** By itself or in another row. */
  #isShown(key: string): boolean {
    return (
      this.#own.has(key) || this.#folded.has(key) || this.#others.has(key) || this.#zeros.has(key)
    );
  }

  /** Is a folded row gone in this gather, or begun anew under the same labels? */
  #hasEnded(key: string, last: Sample): boolean {
    const now = this.#rows.get(key)?.sample;
    return now === undefined || hasFallen(last, now);
  }

  /** Its device has gone, and what it had is counted as that of removed devices, too. */
  #keepOfRemoved({ sample, otherKey }: Folded): void {
    if (sample.labels.device === undefined || !this.#others.has(otherKey)) return;
    const labels = { ...sample.labels, device: REMOVED };
    const key = keyOf(labels);
    if (!this.#rows.has(key)) return;
    const kept = this.#kept.get(key);
    this.#kept.set(key, sumOfAll(labels, kept === undefined ? [sample] : [kept, sample]) ?? sample);
  }

  #withoutKept(row: Row): Row {
    const kept = this.#kept.get(row.key);
    const rest = kept === undefined ? row.sample : differenceOf(row.sample, kept);
    const sample = withoutRounding(this.#removed.get(row.key), rest);
    this.#removed.set(row.key, sample);
    return { ...row, sample };
  }

  /** What a folded row had that has ended stays in the row that it was summed into. */
  #keep({ sample, otherKey }: Folded): void {
    const other = this.#others.get(otherKey);
    if (other === undefined) return;
    other.kept =
      other.kept === undefined
        ? relabelled(sample, other.labels)
        : sumOfAll(other.labels, [other.kept, sample]);
  }

  /** A folded row in the next gather: there, or gone. */
  #follow(key: string, folded: Folded): void {
    const now = this.#rows.get(key)?.sample;
    if (now === undefined) this.#folded.delete(key);
    else folded.sample = now;
  }

  #fold(row: Row, room: Room): void {
    const labels = this.#otherLabels(row);
    const otherKey = keyOf(labels);
    this.#folded.set(row.key, { sample: row.sample, otherKey });
    if (this.#isGauge || row.key !== otherKey) this.dropped += 1;
    if (this.#isGauge || this.#others.has(otherKey)) return;

    const lowest = room.mayTake() ? undefined : this.#lowest(otherKey);
    // With nothing to give up and nothing left the row is left out: the cap holds.
    if (lowest === undefined && !room.fits()) return;
    this.#others.set(otherKey, { labels, kept: undefined, last: undefined });
    if (lowest === undefined) return;
    this.#own.delete(lowest.key);
    this.#fold(lowest, room);
  }

  /** The lowest row with a place; one that would be folded into the same row, if there is any. */
  #lowest(otherKey: string): Row | undefined {
    let lowest: Row | undefined;
    let lowestIsAlike = false;
    for (const key of this.#own) {
      const row = this.#rows.get(key);
      if (row === undefined) continue;
      const isAlike = keyOf(this.#otherLabels(row)) === otherKey;
      const isLower = lowest === undefined || this.#rank(row) < this.#rank(lowest);
      if (isAlike === lowestIsAlike ? isLower : isAlike) {
        lowest = row;
        lowestIsAlike = isAlike;
      }
    }
    return lowest;
  }

  #otherSamples(): Sample[] {
    const parts = new Map<string, Sample[]>();
    for (const [key, { kept }] of this.#others) parts.set(key, kept === undefined ? [] : [kept]);
    for (const { sample, otherKey } of this.#folded.values()) parts.get(otherKey)?.push(sample);
    return [...this.#others].flatMap(([key, other]) => {
      const sum = sumOfAll(other.labels, parts.get(key) ?? []);
      if (sum === undefined) return [];
      other.last = withoutRounding(other.last, sum);
      return [other.last];
    });
  }

  #otherLabels({ sample }: Row): Labels {
    const labels: Record<string, string> = { ...sample.labels };
    for (const name of this.share.fold) if (name in labels) labels[name] = OTHER;
    return labels;
  }
}
