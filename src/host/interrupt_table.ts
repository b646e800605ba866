// The bytes of /proc/interrupts as numbers and names. Pure. Knows the file's form
// (kernel/irq/proc.c: show_interrupts, and arch_show_interrupts), not what the names mean.
//
// Built for a machine of 256 CPUs, where the file is 3 MB that is nearly all spaces: it looks at
// four bytes a count instead of eleven.

import { shownBytes } from './device_names.ts';

export interface InterruptRow {
  /** A number for an interrupt line; `LOC`, `NMI`, `IPI0` for what the architecture counts. */
  readonly irq: number | string;
  /** The names of its handlers, separated by comma and space; empty when it has none. */
  readonly name: string;
  /** Interrupt chip, its own number for the line, and the trigger: `PCI-MSIX-0000:00:03.0 1-edge`. */
  readonly chip: string;
  /**
   * By position in `cpus`. The kernel counts in 32 bits, so a count may wrap. Rows that have one
   * number for the machine (`ERR`, `MIS`) have it at position 0, and rows without any (`FIQ`) have zeros.
   */
  readonly counts: Float64Array;
}

export interface InterruptTable {
  /** The online CPUs by number, which may have holes. */
  readonly cpus: readonly number[];
  readonly rows: readonly InterruptRow[];
  /** Rows left out since they had more or fewer counts than the header has CPUs. */
  readonly torn: number;
}

const SPACE = 32;
const NEWLINE = 10;
const COLON = 58;
const ZERO = 48;
/** `" %10u"`: the width of a count, and of `CPU%-8d` in the header. */
const COLUMN = 11;

export function parseInterrupts(bytes: Uint8Array): InterruptTable {
  const headerEnd = lineEnd(bytes, 0);
  const header = textOf(bytes, 0, headerEnd);
  const cpus = [...header.matchAll(/CPU(\d+)/g)].map((match) => Number(match[1]));
  const lines = countLines(bytes, headerEnd);
  const all = new Float64Array(cpus.length * lines);
  const aligned = isAligned(header);
  const rows: InterruptRow[] = [];
  let torn = 0;
  for (let at = headerEnd + 1; at < bytes.length; ) {
    const end = lineEnd(bytes, at);
    const colon = bytes.indexOf(COLON, at);
    if (colon >= 0 && colon < end) {
      const from = rows.length * cpus.length;
      const counts = all.subarray(from, from + cpus.length);
      const row = parseRow(bytes, at, colon, end, counts, aligned);
      if (row !== undefined) rows.push(row);
      else {
        torn++;
        counts.fill(0);
      }
    }
    at = end + 1;
  }
  return { cpus, rows, torn };
}

/** Fills `counts`, which must be zero. Undefined for a torn row. */
function parseRow(
  bytes: Uint8Array,
  start: number,
  colon: number,
  end: number,
  counts: Float64Array,
  aligned: boolean,
): InterruptRow | undefined {
  const label = textOf(bytes, start, colon).trim();
  const irq = /^\d+$/.test(label) ? Number(label) : label;
  let at = colon + 1;
  let found = 0;
  if (aligned) {
    while (found < counts.length && isColumn(bytes, at, end)) {
      counts[found++] = columnValue(bytes, at);
      at += COLUMN;
    }
  }
  // Any other spacing: words, for as long as they are numbers.
  while (found < counts.length) {
    const from = skipSpaces(bytes, at, end);
    let to = from;
    while (to < end && isDigit(bytes[to])) to++;
    if (to === from || (to < end && bytes[to] !== SPACE)) break;
    counts[found++] = Number(textOf(bytes, from, to));
    at = to;
  }
  const rest = shownBytes(bytes.subarray(at, end));
  const whole = found === counts.length && !/^ +\d+( |$)/.test(rest);
  const oneForAll = typeof irq === 'string' && found === 1 && rest.trim() === '';
  // `FIQ:  usb_fiq` of ARM: an interrupt that nobody counts.
  const uncounted = typeof irq === 'string' && found === 0;
  if (!whole && !oneForAll && !uncounted) return undefined;
  if (typeof irq === 'string') return { irq, name: rest.trim(), chip: '', counts };
  return { irq, ...chipAndName(rest), counts };
}

/**
 * What follows the counts: chip, hardware number and trigger in columns, then two spaces and the
 * handlers' names, which may contain single spaces (`iwlwifi: default queue`). Without a handler the
 * line ends in the padding of the trigger.
 */
function chipAndName(rest: string): { chip: string; name: string } {
  const words = rest.trim().split(/\s+/);
  const at = rest.lastIndexOf('  ');
  const chip = at < 0 ? '' : rest.slice(0, at).trim().split(/\s+/).join(' ');
  if (chip === '' && words.length > 1) {
    // Somebody squeezed the spaces, as forums do: the last word is all that is sure.
    return { chip: words.slice(0, -1).join(' '), name: words.at(-1) ?? '' };
  }
  const name = at < 0 ? '' : rest.slice(at + 2);
  // A hardware number is no name: an old kernel prints nothing after it when there is no handler.
  if (name.trim() === '' || /^\d+$/.test(name)) return { chip: words.join(' '), name: '' };
  return { chip, name };
}

/** Does each `CPU…` of the header begin one column after the one before? One CPU alone proves nothing. */
function isAligned(header: string): boolean {
  const starts = [...header.matchAll(/CPU/g)].map((match) => match.index);
  return (
    starts.length > 1 &&
    starts.every((start, index) => index === 0 || start === (starts[index - 1] ?? 0) + COLUMN)
  );
}

/** A space, up to ten characters that end in a digit, and nothing that continues the number. */
function isColumn(bytes: Uint8Array, at: number, end: number): boolean {
  const next = at + COLUMN;
  return (
    next <= end &&
    bytes[at] === SPACE &&
    isDigit(bytes[next - 1]) &&
    (next === end || bytes[next] === SPACE)
  );
}

function columnValue(bytes: Uint8Array, at: number): number {
  let value = (bytes[at + COLUMN - 1] ?? ZERO) - ZERO;
  let scale = 10;
  for (let back = at + COLUMN - 2; isDigit(bytes[back]); back--) {
    value += ((bytes[back] ?? ZERO) - ZERO) * scale;
    scale *= 10;
  }
  return value;
}

function countLines(bytes: Uint8Array, from: number): number {
  let lines = 1;
  for (let at = bytes.indexOf(NEWLINE, from); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) lines++;
  return lines;
}

function lineEnd(bytes: Uint8Array, from: number): number {
  const end = bytes.indexOf(NEWLINE, from);
  return end < 0 ? bytes.length : end;
}

function skipSpaces(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && bytes[at] === SPACE) at++;
  return at;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= ZERO + 9;
}

function textOf(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('latin1');
}
