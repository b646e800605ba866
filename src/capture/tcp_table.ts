// What became of the packets in the kernel's TCP table: how many are on their way, and how many left it
// without a trace. What has been called lost stays lost, whoever reads, how often and when.

import type { BpfObject, StructLayout } from '../addon/addon.ts';
import { BUCKETS, thresholdsNs } from '../histogram/bounds.ts';
import { readU64 } from '../histogram/histogram.ts';
import { kernelNowNs } from './kernel_clock.ts';
import type { TcpTable } from './reading.ts';

/** The longest latency. The kernel takes nothing older out of its table (bpf/tcp_table.h). */
const TAKEN_NS_MAX = thresholdsNs()[BUCKETS - 1] ?? 0;
/** So long a program may be on its way from its look at the clock to the table: more than any is. */
const UNDER_WAY_NS = 1e9;

export class TcpTableReader {
  readonly #object: BpfObject;
  /** Of `struct cpu_state`. */
  readonly #layout: StructLayout;
  readonly #cpus: number;
  /** Room for a copy of the table, hundreds of kilobytes: made once. */
  readonly #table: Uint32Array<ArrayBuffer>;
  readonly #entryWords: number;
  #lost = 0;

  constructor(object: BpfObject, layout: StructLayout, cpus: number) {
    this.#object = object;
    this.#layout = layout;
    this.#cpus = cpus;
    this.#table = new Uint32Array(object.mapBytes('tcp_packets') / 4);
    this.#entryWords = object.layout('tcp_packet').size / 4;
  }

  /**
   * Lost are: kept - resolved - those that may still be taken. Read in this order, the clock before the
   * table, packets under way can only make the number too small, never too large. It would run backwards
   * with them, though not for long: the largest so far is the one that is right.
   */
  read(): TcpTable {
    const kept = this.#sumOverCpus('tcp_kept');
    const oldestNs = kernelNowNs() - TAKEN_NS_MAX - UNDER_WAY_NS;
    const table = this.#table;
    this.#object.read('tcp_packets', 0, new Uint8Array(table.buffer));
    const resolved = this.#sumOverCpus('tcp_resolved');
    let open = 0;
    for (let at = 0; at < table.length; at += this.#entryWords) {
      if (table[at] === 0 && table[at + 1] === 0) continue;
      if (readU64(table, at + 2) >= oldestNs) open++;
    }
    this.#lost = Math.max(this.#lost, kept - resolved - open);
    return { lost: this.#lost, open };
  }

  #sumOverCpus(field: string): number {
    const { size, fields } = this.#layout;
    const place = fields[field]?.offset ?? 0;
    const words = new Uint32Array(2);
    let total = 0;
    for (let cpu = 0; cpu < this.#cpus; cpu++) {
      this.#object.read('cpus', cpu * size + place, new Uint8Array(words.buffer));
      total += readU64(words, 0);
    }
    return total;
  }
}
