// One scrape's samples and the questions that the end-to-end tests ask of them. Pure.

import type { Series } from '../metrics/decode.ts';

type Labels = Readonly<Record<string, string>>;

interface Sample {
  readonly name: string;
  readonly labels: Labels;
  readonly value: number;
}

export class Numbers {
  readonly #samples: readonly Sample[];

  constructor(series: Series) {
    this.#samples = [...series].map(([key, value]) => {
      const [name, pairs] = JSON.parse(key) as [string, [string, string][]];
      return { name, labels: Object.fromEntries(pairs), value };
    });
  }

  /** Those of a name that have at least these labels. */
  find(name: string, labels: Labels = {}): Sample[] {
    return this.#samples.filter(
      (sample) =>
        sample.name === name &&
        Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    );
  }

  /** Their sum; throws where there is none, for a missing series is not 0. */
  total(name: string, labels: Labels = {}): number {
    const found = this.find(name, labels);
    if (found.length === 0) throw new Error(`no series ${name} ${JSON.stringify(labels)}`);
    return found.reduce((sum, { value }) => sum + value, 0);
  }

  /** Names that match, each once. */
  names(pattern: RegExp): string[] {
    return [...new Set(this.#samples.map(({ name }) => name))].filter((name) => pattern.test(name));
  }
}
