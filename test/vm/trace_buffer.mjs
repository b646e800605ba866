// The kernel's own trace of chosen events, in nanoseconds: an instance of ftrace of one's own, read in
// the binary form, since the text has only microseconds. Plain JavaScript, like all that runs in a guest.

import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

const TRACING = '/sys/kernel/tracing';
const PAGE_BYTES = 4096;
/** include/linux/ring_buffer.h: what the first five bits of an event's header say beside its length. */
const PADDING = 29;
const TIME_EXTEND = 30;
const TIME_STAMP = 31;
/** In the page's header, above the bytes that are used: events were lost before this page. */
const MISSED_EVENTS = 1n << 31n;

export class TraceBuffer {
  #folder = join(TRACING, 'instances', `rxscope-${process.pid}`);
  #formats = new Map();
  #cpus;

  /** `events` are names like `net:netif_receive_skb`, each with the fields that are wanted. */
  constructor(events, kilobytesPerCpu) {
    mkdirSync(this.#folder);
    try {
      this.#set('trace_clock', 'mono');
      this.#set('buffer_size_kb', `${kilobytesPerCpu}`);
      this.#set('tracing_on', '0');
      for (const [event, fields] of Object.entries(events)) {
        const path = join('events', ...event.split(':'));
        const format = formatOf(readFileSync(join(this.#folder, path, 'format'), 'utf8'), fields);
        this.#formats.set(format.id, { event: event.split(':')[1], ...format });
        this.#set(join(path, 'enable'), '1');
      }
      this.#cpus = readdirSync(join(this.#folder, 'per_cpu')).map((name) => Number(name.slice(3)));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  start() {
    this.#set('trace', '');
    this.#set('tracing_on', '1');
  }

  /** Ends the trace; its events in order of time on each CPU: { cpu, ns, pid, event, …fields }. */
  stop() {
    this.#set('tracing_on', '0');
    return this.#cpus.flatMap((cpu) => [...this.#eventsOf(cpu)]);
  }

  close() {
    try {
      this.#set('events/enable', '0');
      rmdirSync(this.#folder);
    } catch {
      // It was never made.
    }
  }

  *#eventsOf(cpu) {
    const path = join(this.#folder, 'per_cpu', `cpu${cpu}`, 'trace_pipe_raw');
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const page = Buffer.alloc(PAGE_BYTES);
    try {
      while (readPage(file, page) > 0) {
        for (const { ns, at } of eventsOfPage(page)) {
          const format = this.#formats.get(page.readUInt16LE(at));
          if (format === undefined) continue;
          const one = { cpu, ns: Number(ns), pid: page.readInt32LE(at + 4), event: format.event };
          for (const { name, read } of format.fields) one[name] = read(page, at);
          yield one;
        }
      }
    } finally {
      closeSync(file);
    }
  }

  #set(file, value) {
    writeFileSync(join(this.#folder, file), value);
  }
}

function readPage(file, page) {
  try {
    return readSync(file, page, 0, PAGE_BYTES, null);
  } catch (error) {
    if (error.code === 'EAGAIN') return 0;
    throw error;
  }
}

/** Where the data of each event of a page begins, and its time. */
function* eventsOfPage(page) {
  let ns = page.readBigUInt64LE(0);
  const commit = page.readBigUInt64LE(8);
  if (commit & MISSED_EVENTS) throw new Error('the trace lost events: its buffer is too small');
  const end = 16 + Number(commit & 0xfffffn);
  let at = 16;
  while (at < end) {
    const header = page.readUInt32LE(at);
    const type = header & 31;
    const delta = BigInt(header >>> 5);
    at += 4;
    if (type === TIME_EXTEND || type === TIME_STAMP) {
      const time = (BigInt(page.readUInt32LE(at)) << 27n) + delta;
      // A time stamp lacks the upper bits, which are those of the time before.
      ns = type === TIME_EXTEND ? ns + time : ((ns >> 59n) << 59n) | time;
      at += 4;
    } else if (type === PADDING) {
      if (delta === 0n) return;
      ns += delta;
      at += page.readUInt32LE(at);
    } else {
      ns += delta;
      const bytes = type === 0 ? page.readUInt32LE(at) : type * 4;
      yield { ns, at: type === 0 ? at + 4 : at };
      at += bytes;
    }
  }
}

/** Number and fields of an event, from its format file. */
function formatOf(text, wanted) {
  const id = Number(/^ID: (\d+)/m.exec(text)?.[1]);
  const fields = wanted.map((name) => {
    const found = new RegExp(
      `field:([^;]*)\\b${name}(\\[\\])?;\\s*offset:(\\d+);\\s*size:(\\d+)`,
    ).exec(text);
    if (found === null) throw new Error(`an event of this kernel has no field ${name}: ${text}`);
    return { name, read: reader(found[1], Number(found[3]), Number(found[4])) };
  });
  return { id, fields };
}

function reader(type, offset, size) {
  if (type.includes('__data_loc')) {
    return (page, at) => {
      const place = page.readUInt32LE(at + offset);
      const start = at + (place & 0xffff);
      return page.toString('latin1', start, start + (place >>> 16) - 1);
    };
  }
  if (size === 8) return (page, at) => page.readBigUInt64LE(at + offset).toString(16);
  if (size === 4) return (page, at) => page.readUInt32LE(at + offset);
  if (size === 2) return (page, at) => page.readUInt16LE(at + offset);
  return (page, at) => page.readUInt8(at + offset);
}
