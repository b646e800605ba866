// Records from the kernel to a callback: each one, in bounded batches, with losses told. What
// happens when threads, processes and callbacks end badly is in lifetime.test.ts.

import { AsyncLocalStorage } from 'node:async_hooks';
import { execFileSync } from 'node:child_process';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { BpfObject, EventOptions, EventReader, OnBatch } from '../../src/addon/addon.ts';
import { configure, countedCalls, failureOf, loadCalls, makeCalls } from './fixture.ts';

const FRAME_BYTES = 8;
/** A record of 16 bytes; the kernel rounds it and its own length of 4 up to a multiple of 8. */
const RECORD_BYTES = 20;
const STEP_BYTES = 32;

const ROOMY: EventOptions = { pagesPerCpu: 64, wakeupBytes: 0, batchBytesMax: 65_536 };

interface Received {
  readonly sequence: number;
  readonly pid: number;
  readonly cpu: number;
  readonly frameCpu: number;
}

let object: BpfObject | undefined;

afterEach(() => object?.close());

/** A loaded, attached object that sends a record for each call, and its reader. */
function openReader(onBatch: OnBatch, options = ROOMY): { object: BpfObject; reader: EventReader } {
  const opened = loadCalls();
  object = opened;
  configure(opened, true);
  opened.attach('count_calls');
  return { object: opened, reader: opened.openEvents('events', options, onBatch) };
}

function decode(frames: Uint8Array): Received[] {
  const view = new DataView(frames.buffer, frames.byteOffset, frames.byteLength);
  const received: Received[] = [];
  for (let at = 0; at < frames.byteLength; at += STEP_BYTES) {
    expect(view.getUint32(at + 4, true)).toBe(RECORD_BYTES);
    const record = at + FRAME_BYTES;
    received.push({
      sequence: Number(view.getBigUint64(record, true)),
      pid: view.getUint32(record + 8, true),
      cpu: view.getUint32(record + 12, true),
      frameCpu: view.getUint32(at, true),
    });
  }
  return received;
}

/** What a machine that others load too may take. */
const eventually = (holds: () => void): Promise<void> => vi.waitFor(holds, { timeout: 20_000 });

/** Lets everything happen that would happen without another wake-up from the kernel. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 11; turn++) await nextTurn();
}

const sequences = (received: Received[]) =>
  received.map(({ sequence }) => sequence).sort((a, b) => a - b);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

describe('a reader', () => {
  test('delivers each of 1009 records once, with the CPU that wrote it', async () => {
    const received: Received[] = [];
    openReader((frames, lost) => {
      received.push(...decode(frames));
      expect(lost).toBe(0);
    });
    await turns();
    makeCalls(1009);
    await eventually(() => expect(received.length).toBe(1009));
    expect(sequences(received)).toEqual(upTo(1009));
    for (const { pid, cpu, frameCpu } of received) {
      expect(pid).toBe(process.pid);
      expect(frameCpu).toBe(cpu);
    }
  });

  test('delivers what is written before the loop knows of it', async () => {
    const received: Received[] = [];
    openReader((frames) => received.push(...decode(frames)));
    makeCalls(101);
    await eventually(() => expect(received.length).toBe(101));
  });

  test('keeps batches within their bound and lets the loop turn between them', async () => {
    let turn = 0;
    const deliveredIn: number[] = [];
    const sizes: number[] = [];
    const received: Received[] = [];
    openReader(
      (frames) => {
        deliveredIn.push(turn);
        sizes.push(frames.byteLength);
        received.push(...decode(frames));
      },
      { ...ROOMY, batchBytesMax: 1031 },
    );
    makeCalls(1009);
    while (received.length < 1009) {
      await nextTurn();
      turn++;
    }
    expect(sequences(received)).toEqual(upTo(1009));
    // 32 records of 32 bytes reach no further than 1031.
    expect(Math.max(...sizes)).toBe(1024);
    expect(sizes.length).toBeGreaterThanOrEqual(Math.ceil(1009 / 32));
    expect(new Set(deliveredIn).size).toBe(deliveredIn.length);
  });

  test('delivers a record that is larger than the bound by itself', async () => {
    const sizes: number[] = [];
    openReader((frames) => sizes.push(frames.byteLength), { ...ROOMY, batchBytesMax: 1 });
    makeCalls(13);
    await eventually(() => expect(sizes.length).toBe(13));
    expect(new Set(sizes)).toEqual(new Set([STEP_BYTES]));
  });

  test('holds back what is below the watermark until drain, which delivers it all', async () => {
    const received: Received[] = [];
    const { reader } = openReader((frames) => received.push(...decode(frames)), {
      pagesPerCpu: 64,
      wakeupBytes: 131_072,
      batchBytesMax: 4096,
    });
    await turns();
    makeCalls(1009);
    await turns();
    expect(received.length).toBe(0);
    reader.drain();
    expect(sequences(received)).toEqual(upTo(1009));
    reader.drain();
    expect(received.length).toBe(1009);
  });

  test('wakes by itself once a ring holds more than the watermark', async () => {
    const received: Received[] = [];
    openReader((frames) => received.push(...decode(frames)), {
      pagesPerCpu: 64,
      wakeupBytes: 16_384,
      batchBytesMax: 65_536,
    });
    await turns();
    // On two CPUs: whichever ring they fall into, one holds more than 16 KiB.
    makeCalls(2003);
    await eventually(() => expect(received.length).toBeGreaterThan(500));
  });

  test('tells how many records a small ring lost', () => {
    let delivered = 0;
    let lost = 0;
    const loseOn = onlyCpu();
    try {
      const { object, reader } = openReader(
        (frames, lostNow) => {
          delivered += decode(frames).length;
          lost += lostNow;
        },
        { pagesPerCpu: 1, wakeupBytes: 0, batchBytesMax: 65_536 },
      );
      makeCalls(1009);
      reader.drain();
      expect(lost).toBe(0);
      expect(delivered).toBeLessThan(4096 / STEP_BYTES);
      // The kernel tells the loss with the next record that fits.
      makeCalls(1);
      reader.drain();
      expect(countedCalls(object)).toBe(1010);
      expect(delivered + lost).toBe(1010);
      const failedSends = new BigUint64Array(1);
      object.read('slots', 8, new Uint8Array(failedSends.buffer));
      expect(Number(failedSends[0])).toBe(lost);
    } finally {
      loseOn.restore();
    }
  });

  test('runs its callback in the async context that opened it', async () => {
    const storage = new AsyncLocalStorage<string>();
    let seen: string | undefined;
    storage.run('opened here', () => {
      openReader(() => {
        seen = storage.getStore();
      });
    });
    makeCalls(1);
    await eventually(() => expect(seen).toBe('opened here'));
  });

  test('takes a new buffer when the callback has given the old one away', async () => {
    const received: Received[] = [];
    openReader((frames) => {
      const moved = structuredClone(frames, { transfer: [frames.buffer as ArrayBuffer] });
      expect(frames.byteLength).toBe(0);
      received.push(...decode(moved));
    });
    makeCalls(101);
    await eventually(() => expect(received.length).toBe(101));
    makeCalls(103);
    await eventually(() => expect(received.length).toBe(101 + 103));
    expect(sequences(received)).toEqual(upTo(101 + 103));
  });
});

describe('closing a reader', () => {
  test.each([
    ['itself', ({ reader }: ReturnType<typeof openReader>) => reader.close()],
    ['with its object', ({ object }: ReturnType<typeof openReader>) => object.close()],
  ])('inside the callback, %s, stops the batches that were to come', async (_, close) => {
    let batches = 0;
    const opened = openReader(
      () => {
        batches++;
        close(opened);
      },
      { ...ROOMY, batchBytesMax: 1024 },
    );
    makeCalls(1009);
    await eventually(() => expect(batches).toBe(1));
    await turns();
    expect(batches).toBe(1);
    close(opened);
    opened.reader.drain();
    expect(batches).toBe(1);
  });

  test('inside a drain stops the drain', () => {
    let batches = 0;
    const { reader } = openReader(
      () => {
        batches++;
        reader.close();
      },
      { ...ROOMY, batchBytesMax: 1024 },
    );
    makeCalls(1009);
    reader.drain();
    reader.drain();
    expect(batches).toBe(1);
  });

  test('twice is harmless, and its map can have another reader then', () => {
    const { object, reader } = openReader(() => {});
    const failure = failureOf(() => object.openEvents('events', ROOMY, () => {}));
    expect(failure).toMatchObject({ operation: 'events', code: 'EBUSY', map: 'events' });
    reader.close();
    reader.close();
    const received: Received[] = [];
    const next = object.openEvents('events', ROOMY, (frames) => received.push(...decode(frames)));
    makeCalls(101);
    next.drain();
    expect(received.length).toBe(101);
  });
});

describe('a drain', () => {
  test('throws what the callback throws; the rest follows from the loop', async () => {
    const received: Received[] = [];
    const { reader } = openReader(
      (frames) => {
        received.push(...decode(frames));
        if (received.length === 32) throw new Error('thrown by the callback');
      },
      { ...ROOMY, batchBytesMax: 1024 },
    );
    makeCalls(1009);
    expect(() => reader.drain()).toThrow('thrown by the callback');
    expect(received.length).toBe(32);
    await eventually(() => expect(received.length).toBe(1009));
    expect(sequences(received)).toEqual(upTo(1009));
  });

  test('inside the callback is refused', () => {
    let code: string | undefined;
    const { reader } = openReader(() => {
      code = failureOf(() => reader.drain()).code;
    });
    makeCalls(1);
    reader.drain();
    expect(code).toBe('EBUSY');
  });
});

describe('a reader is not opened', () => {
  test.each([
    ['with a number of pages that is no power of two', 'events', { pagesPerCpu: 3 }, 'EINVAL'],
    ['without pages', 'events', { pagesPerCpu: 0 }, 'EINVAL'],
    ['with a watermark as large as the ring', 'events', { wakeupBytes: 64 * 4096 }, 'EINVAL'],
    ['with a negative bound', 'events', { batchBytesMax: -1 }, 'EINVAL'],
    ['on an array', 'slots', {}, 'EINVAL'],
    ['on no map', 'nothing', {}, 'ENOENT'],
  ])('%s', (_, map, options, code) => {
    object = loadCalls();
    const loaded = object;
    const failure = failureOf(() => loaded.openEvents(map, { ...ROOMY, ...options }, () => {}));
    expect(failure).toMatchObject({ operation: 'events', code });
  });

  test('without a callback', () => {
    object = loadCalls();
    const loaded = object;
    const nothing = undefined as unknown as OnBatch;
    expect(failureOf(() => loaded.openEvents('events', ROOMY, nothing)).message).toContain(
      'its argument onBatch must be a function',
    );
  });
});

/** Keeps this thread on one CPU, so that all its records fall into one ring. */
function onlyCpu(): { restore(): void } {
  const pid = String(process.pid);
  const allowed = execFileSync('taskset', ['-cp', pid], { encoding: 'utf8' }).split(': ')[1] ?? '';
  const first = /^\d+/.exec(allowed)?.[0] ?? '0';
  execFileSync('taskset', ['-cp', first, pid]);
  return { restore: () => execFileSync('taskset', ['-cp', allowed.trim(), pid]) };
}
