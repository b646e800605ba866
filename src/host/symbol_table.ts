// The functions of /proc/kallsyms in a compact form: some four megabytes for a usual kernel, where
// the file has ten and a map of strings would take thirty. Pure: eats the file's bytes in pieces.

const NEWLINE = 0x0a;
const SPACE = 0x20;
/** t and T: code; w and W: weak symbols, of which some are data. */
const FUNCTION_TYPES = new Set(['t', 'T', 'w', 'W'].map((letter) => letter.charCodeAt(0)));

/**
 * The file tells no sizes. An address farther from the start of the function below it lies in none:
 * in a module that is gone, or in none of the kernel's code at all. The longest functions of a
 * distribution's kernel have some tens of kilobytes.
 */
const FUNCTION_BYTES_MAX = 1 << 17;

/** Code lies within a few neighbouring ranges of 4 GiB: the kernel's, that of modules. */
const HIGHS_MAX = 8;

const TWO_32 = 2 ** 32;

export interface KernelFunction {
  /** Without the compiler's suffixes. */
  readonly name: string;
  /** Of a module or a BPF program: code that may go, and other code come in its place. */
  readonly inModule: boolean;
}

export class SymbolTable {
  /** Upper half of the first address: others are kept relative to it, so that a double holds them. */
  #baseHigh: number | undefined;
  #addresses = new Float64Array(1 << 14);
  /** Where each name begins in `#names`. */
  #starts = new Uint32Array(1 << 14);
  #size = 0;
  /** Names, with a tab and the module where there is one, each with a newline, in the file's order. */
  #names = Buffer.allocUnsafe(1 << 18);
  #namesBytes = 0;
  #rest = Buffer.alloc(0);
  readonly #highs = new Set<number>();

  get size(): number {
    return this.#size;
  }

  /** Takes the next bytes of the file, cut anywhere. */
  add(bytes: Buffer): void {
    const text = this.#rest.length > 0 ? Buffer.concat([this.#rest, bytes]) : bytes;
    let from = 0;
    for (;;) {
      const end = text.indexOf(NEWLINE, from);
      if (end < 0) break;
      this.#line(text, from, end);
      from = end + 1;
    }
    this.#rest = Buffer.from(text.subarray(from));
  }

  /** To be called once after the last bytes, before anything is asked. */
  finish(): void {
    if (this.#rest.length > 0) this.#line(this.#rest, 0, this.#rest.length);
    this.#rest = Buffer.alloc(0);
    const addresses = this.#addresses.subarray(0, this.#size);
    // Of several names of one address the first in the file counts, as for the kernel itself.
    const order = Uint32Array.from(addresses.keys());
    // The kernel's own are sorted in the file; those of modules are not.
    if (!addresses.every((address, at) => at === 0 || (addresses[at - 1] ?? 0) <= address))
      order.sort((a, b) => (addresses[a] ?? 0) - (addresses[b] ?? 0) || a - b);
    this.#starts = Uint32Array.from(order, (at) => this.#starts[at] ?? 0);
    this.#addresses = Float64Array.from(order, (at) => addresses[at] ?? 0);
    this.#names = Buffer.from(this.#names.subarray(0, this.#namesBytes));
  }

  at(address: bigint): KernelFunction | undefined {
    const relative = address - BigInt(this.#baseHigh ?? 0) * BigInt(TWO_32);
    return this.#find(Number(relative));
  }

  /** By the lower 32 bits of the address; undefined also where two functions have the same. */
  atLow(low: number): KernelFunction | undefined {
    const found = [...this.#highs].flatMap((high) => this.#find(high * TWO_32 + low) ?? []);
    return found.length === 1 ? found[0] : undefined;
  }

  #find(relative: number): KernelFunction | undefined {
    let low = 0;
    let high = this.#size;
    // The number of functions that begin at or below the address.
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#addresses[middle] ?? 0) <= relative) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    const address = this.#addresses[low - 1] ?? 0;
    if (relative - address > FUNCTION_BYTES_MAX) return undefined;
    while (low > 1 && this.#addresses[low - 2] === address) low--;
    const start = this.#starts[low - 1] ?? 0;
    const line = this.#names.toString('latin1', start, this.#names.indexOf(NEWLINE, start));
    const tab = line.indexOf('\t');
    const symbol = tab < 0 ? line : line.slice(0, tab);
    // `tcp_v4_rcv.cold`, `udp_queue_rcv_one_skb.part.0`: parts of one function of the source.
    const dot = symbol.indexOf('.', 1);
    return { name: dot < 0 ? symbol : symbol.slice(0, dot), inModule: tab >= 0 };
  }

  /** `ffffffff81a0b0c0 t udp_queue_rcv_skb`, for modules followed by a tab and `[name]`. */
  #line(text: Buffer, from: number, end: number): void {
    const space = text.indexOf(SPACE, from);
    if (space < 0 || space + 3 >= end || text[space + 2] !== SPACE) return;
    if (!FUNCTION_TYPES.has(text[space + 1] ?? 0)) return;
    const lowFrom = Math.max(from, space - 8);
    const low = hex(text, lowFrom, space);
    const high = hex(text, from, lowFrom);
    // Hidden from who opened the file.
    if (Number.isNaN(low) || Number.isNaN(high) || (low === 0 && high === 0)) return;
    this.#push(high, low, text, space + 3, end);
  }

  #push(high: number, low: number, text: Buffer, from: number, end: number): void {
    this.#baseHigh ??= high;
    const relative = high - this.#baseHigh;
    if (this.#highs.size < HIGHS_MAX) this.#highs.add(relative);
    if (this.#size === this.#addresses.length) {
      this.#addresses = grown(this.#addresses, new Float64Array(this.#size * 2));
      this.#starts = grown(this.#starts, new Uint32Array(this.#size * 2));
    }
    if (this.#namesBytes + (end - from) + 1 > this.#names.length)
      this.#names = grown(this.#names, Buffer.allocUnsafe(this.#names.length * 2 + end - from));
    this.#addresses[this.#size] = relative * TWO_32 + low;
    this.#starts[this.#size] = this.#namesBytes;
    this.#size++;
    this.#namesBytes += text.copy(this.#names, this.#namesBytes, from, end);
    this.#names[this.#namesBytes++] = NEWLINE;
  }
}

function grown<T extends Float64Array | Uint32Array | Buffer>(from: T, into: T): T {
  into.set(from);
  return into;
}

/** The number that hexadecimal digits tell; 0 for none of them, NaN for anything else. */
function hex(text: Buffer, from: number, end: number): number {
  let value = 0;
  for (let at = from; at < end; at++) {
    const code = text[at] ?? 0;
    const digit =
      code >= 0x30 && code <= 0x39
        ? code - 0x30
        : code >= 0x61 && code <= 0x66
          ? code - 0x57
          : Number.NaN;
    value = value * 16 + digit;
  }
  return value;
}
