// The whole surface of the native addon. C++ moves bytes; every decision is taken in TypeScript.
// Nothing else in the project loads the addon or knows how it is found.
// Arguments of the wrong kind throw a BpfError with EINVAL; anything on a closed object, EBADF.

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { ROOT } from './root.ts';
import { TOO_MANY_FILES } from './too_many_files.ts';

/** Thrown by every call below that the kernel or libbpf refuses. */
export interface BpfError extends Error {
  /** The errno's name, such as `EPERM`, or libbpf's own, such as `LIBBPF_ERRNO__FORMAT`. */
  readonly code: string;
  /** The errno itself (libbpf's own begin at 4000), positive. */
  readonly errno: number;
  /** What was being done. */
  readonly operation:
    | 'open'
    | 'set_const'
    | 'resize'
    | 'autoload'
    | 'load'
    | 'attach'
    | 'detach'
    | 'programs'
    | 'stats'
    | 'map'
    | 'layout'
    | 'events'
    | 'cpus'
    | 'capabilities'
    | 'netlink'
    | 'ethtool'
    | 'types'
    | 'notify';
  /** The program that was refused, when it is known. */
  readonly program?: string;
  /** The map that was refused, when it is known. */
  readonly map?: string;
  /** The last lines of the verifier's (or libbpf's) log, when there were any. */
  readonly log?: string;
}

/**
 * Where a C struct's members lie, read from the object's own BTF. Sizes and offsets in bytes.
 * Bit fields and the members of an anonymous struct or union are not listed.
 */
export interface StructLayout {
  readonly size: number;
  readonly fields: Readonly<Record<string, { readonly offset: number; readonly size: number }>>;
}

export interface ProgramInfo {
  readonly name: string;
  readonly section: string;
  readonly autoload: boolean;
  readonly loaded: boolean;
  readonly attached: boolean;
}

export interface EventOptions {
  /** Ring size of each CPU in pages of 4 KiB; a power of two. */
  readonly pagesPerCpu: number;
  /** Wake the reader after so many bytes in one CPU's ring; 0 wakes it for each record. */
  readonly wakeupBytes: number;
  /**
   * Largest batch handed to the callback at once, in bytes. Only a record that is longer than the
   * one before it can make a batch exceed this, by itself.
   */
  readonly batchBytesMax: number;
}

/**
 * Frames, one after the other, each 8-byte aligned: u32 cpu, u32 size, then `size` bytes of record
 * (which the kernel may have padded), then padding. `lost` is how many records the kernel says
 * were lost since the last batch; a batch may consist of that number alone. The kernel tells it with
 * the next record that fits into the same ring, so losses at the very end stay untold.
 * The buffer is valid only during the call: it is reused.
 * What the callback throws is an uncaught exception of the process; later batches still come.
 */
export type OnBatch = (frames: Uint8Array, lost: number) => void;

/**
 * An open reader keeps its object, but does not keep the process running. It delivers until it or
 * its object is closed, also when nobody holds it.
 */
export interface EventReader {
  /**
   * Delivers what is in the rings now, in bounded batches, before it returns. Throws what the
   * callback throws; the rest is then delivered later. EBUSY from inside the callback; does nothing
   * on a closed reader.
   */
  drain(): void;
  /** Stops delivering; harmless twice, and from inside the callback. */
  close(): void;
}

/** One BPF object file: opened, adjusted, loaded, attached, read, closed. */
export interface BpfObject {
  /** Sets a `const volatile` global; before load only. The size must be the variable's. */
  setConst(name: string, value: Uint8Array): void;
  setMaxEntries(map: string, entries: number): void;
  setAutoload(program: string, autoload: boolean): void;
  /** All programs that are to be loaded, or none. After a failure only `close` makes sense. */
  load(): void;
  /** Attaches to what the program's section names. */
  attach(program: string): void;
  /** Harmless for a program that is not attached. */
  detach(program: string): void;
  programs(): ProgramInfo[];
  /** Run time and runs so far; zeros unless statistics are on (`enableStats`, or the sysctl). */
  programStats(program: string): { runTimeNs: number; runs: number };
  /**
   * Bytes of a map that can be mmapped (arrays with BPF_F_MMAPABLE, global data), each value rounded
   * up to eight. Global data goes by its section's name, such as `.data.config`.
   */
  mapBytes(map: string): number;
  /**
   * Copies from a mmapped map, eight bytes at a time, each read whole. No system call.
   * The offset is a multiple of eight.
   */
  read(map: string, offset: number, into: Uint8Array): void;
  /**
   * Adds up values of a mmapped map that consist of counters (u64). `indices` are the bytes of a
   * Uint32Array, `sums` those of a Float64Array that is as long as one value, and is overwritten.
   */
  sum(map: string, indices: Uint8Array, sums: Uint8Array): void;
  /** Copies into a mmapped map, likewise. Offset and length are multiples of eight. */
  write(map: string, offset: number, from: Uint8Array): void;
  /** The same for four bytes alone, at a multiple of four: what is beside them may change meanwhile. */
  write32(map: string, offset: number, value: number): void;
  /** Layout of `struct <name>` from the object's BTF. */
  layout(name: string): StructLayout;
  /** Reads a perf event array from libuv's loop. One reader a map. */
  openEvents(map: string, options: EventOptions, onBatch: OnBatch): EventReader;
  /** Detaches everything and frees all; harmless twice. Readers are closed with it. */
  close(): void;
}

/** One enum of the running kernel or of one of its modules; values as numbers, signed where it is. */
export interface KernelEnum {
  readonly name: string;
  readonly values: readonly (readonly [name: string, value: number])[];
}

export interface Addon {
  libbpfVersion(): string;
  /** The number of CPU slots that per-CPU data needs (libbpf_num_possible_cpus). */
  possibleCpus(): number;
  openObject(path: string): BpfObject;
  /**
   * All enums whose name contains `part`, from the BTF of the kernel and of its modules, and the
   * modules whose BTF could not be read. Takes no capability. ENOENT where the kernel has no BTF.
   */
  kernelEnums(part: string): { enums: KernelEnum[]; unreadModules: string[] };
  /** Keeps BPF_STATS_RUN_TIME on until closed or until the process ends. */
  enableStats(): { close(): void };
  /**
   * Takes from every thread, for good, all capabilities but those of `keep` (the kernel's numbers,
   * one a byte), and the way to gain others by executing a program (no_new_privs). Threads created
   * later have no more. Checked in /proc before it returns the number of threads, and whether the
   * bounding set was lowered too, which takes CAP_SETPCAP.
   */
  dropCapabilities(keep: Uint8Array): { threads: number; boundingSet: boolean };
  /**
   * Sends one request for a dump (a complete netlink message) to NETLINK_ROUTE of this thread's
   * network namespace, and returns the messages of the answer, whole and one after the other, without
   * the one that ends it. A dump that the kernel calls inconsistent is made again, at most three
   * times. EMSGSIZE for an answer of more than 16 MiB.
   */
  routeDump(request: Uint8Array): Uint8Array;
  /**
   * One SIOCETHTOOL of a device of this thread's network namespace, by its name or the name's bytes: `buffer` is a structure of
   * linux/ethtool.h, of at most 4 MiB, and changed in place where the call succeeds. Returns 0 or the
   * errno. EFAULT where the kernel has more to tell than the buffer holds, which then is unchanged.
   */
  ethtool(device: string | Uint8Array, buffer: Uint8Array): number;
  /**
   * Gives the system what was freed and malloc keeps, of all threads: megabytes in small pieces once libbpf
   * has read the kernel's types, or V8 has compressed answers. Takes a millisecond or two.
   */
  giveBackMemory(): void;
  /**
   * Sends one datagram to the socket of a service manager (sd_notify): a path, or an abstract name
   * with `@` before it. Never waits: EAGAIN where the receiver's queue is full.
   */
  notifyService(socket: string, message: string): void;
}

let cached: Addon | undefined;

/**
 * Loads the addon once per thread: a local build first, else the prebuilt one.
 * Throws when neither fits this machine; the message says what to run.
 */
export function loadAddon(): Addon {
  cached ??= loadFrom(fileURLToPath(ROOT));
  return cached;
}

function loadFrom(packageRoot: string): Addon {
  const require = createRequire(import.meta.url);
  const load = require('node-gyp-build') as (dir: string) => Addon;
  try {
    return load(packageRoot);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.trim() : String(cause);
    if (reason.includes('Too many open files'))
      throw Object.assign(new Error(TOO_MANY_FILES.EMFILE, { cause }), { code: 'EMFILE' });
    const remedy = reason.includes('cannot open shared object file')
      ? 'Install the library that is named there; on Debian `apt-get install libbpf1`.'
      : `In ${packageRoot} run \`npm run build\`; it needs g++, make, python3 and libbpf-dev.`;
    throw new Error(`cannot load the native addon: ${reason}\n  ${remedy}`, { cause });
  }
}
