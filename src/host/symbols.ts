// Names of the kernel's functions by address, from /proc/kallsyms. Reads it when the first name is
// asked for, and again when modules have changed since; sources and line numbers are not known here.

import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { type KernelFunction, SymbolTable } from './symbol_table.ts';

/** Names functions by addresses in them. */
export interface SymbolNames {
  /** The function that an address lies in, without the compiler's suffixes (`.cold`, `.isra.0`). */
  nameOf(address: bigint): string | undefined;
  /** The same by the lower 32 bits of the address; undefined also where they are ambiguous. */
  nameOfLow(low: number): string | undefined;
}

/** The kernel gives out a page at a time, whole lines; larger reads gain nothing. */
const READ_BYTES = 1 << 16;

/** The list of modules is looked at once for the many names of one scrape. */
const CHECK_EVERY_MS = 1000;

export class Symbols implements SymbolNames {
  readonly #proc: string;
  #fd: number | undefined;
  #table: SymbolTable | undefined;
  #modules = '';
  readonly #nowMs: () => number;
  #checkedMs = Number.NEGATIVE_INFINITY;

  /**
   * Opens the file: the kernel decides by the opener's credentials whether it shows addresses
   * (kallsyms_show_value in kernel/kallsyms.c), so capabilities may be dropped afterwards. Where it
   * cannot be opened, or shows zeros (kptr_restrict, no CAP_SYSLOG), nothing has a name.
   */
  constructor(proc = '/proc', nowMs: () => number = () => performance.now()) {
    this.#proc = proc;
    this.#nowMs = nowMs;
    try {
      this.#fd = openSync(join(proc, 'kallsyms'), 'r');
    } catch {
      this.#fd = undefined;
    }
  }

  nameOf(address: bigint): string | undefined {
    return this.#ask((table) => table.at(address));
  }

  nameOfLow(low: number): string | undefined {
    return this.#ask((table) => table.atLow(low));
  }

  /**
   * Reads the file now, which takes some 100 ms, rather than when the first name is asked for. Where
   * names will be needed in a scrape, that is better done at the start.
   */
  read(): void {
    this.#table = this.#read();
  }

  /** How many functions are known; 0 before the first question, and where addresses are hidden. */
  get functions(): number {
    return this.#table?.size ?? 0;
  }

  /** Closes the file; what has been read keeps its names. Harmless twice. */
  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #ask(question: (table: SymbolTable) => KernelFunction | undefined): string | undefined {
    this.#table ??= this.#read();
    const found = question(this.#table);
    if (found?.inModule === false || !this.#isStale(this.#table)) return found?.name;
    this.#table = this.#read();
    return question(this.#table)?.name;
  }

  /** What is nobody's, or a module's, may be another module's now. The kernel's own code stays. */
  #isStale(table: SymbolTable): boolean {
    const now = this.#nowMs();
    if (this.#fd === undefined || table.size === 0 || now - this.#checkedMs < CHECK_EVERY_MS)
      return false;
    this.#checkedMs = now;
    return this.#moduleList() !== this.#modules;
  }

  #read(): SymbolTable {
    const table = new SymbolTable();
    // First: a module that comes meanwhile makes the list differ the next time.
    this.#modules = this.#moduleList();
    if (this.#fd === undefined) return table;
    const chunk = Buffer.allocUnsafe(READ_BYTES);
    try {
      // Each read says where: the descriptor stands where the last reading ended.
      for (let at = 0; ; ) {
        const bytes = readSync(this.#fd, chunk, 0, chunk.length, at);
        if (bytes === 0) break;
        table.add(chunk.subarray(0, bytes));
        at += bytes;
      }
    } catch {
      // What was read until then has names.
    }
    table.finish();
    return table;
  }

  /** Names and sizes of the modules; '' where there is no such file, that is where no modules are. */
  #moduleList(): string {
    try {
      return readFileSync(join(this.#proc, 'modules'), 'latin1').replace(/^(\S+ \d+) .*$/gm, '$1');
    } catch {
      return '';
    }
  }
}
