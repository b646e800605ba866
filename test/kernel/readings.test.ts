// Readings change nothing: whoever reads in the middle, and however often, a packet that waits is pending
// until it is observed, or until it is too old to be a latency; then it is lost, and stays lost.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { loadAddon } from '../../src/addon/addon.ts';
import { type KernelCapture, openKernelCapture } from '../../src/capture/kernel_capture.ts';
import type { Reading } from '../../src/capture/reading.ts';
import { boundSeconds } from '../../src/histogram/bounds.ts';
import { type Books, booksOfReading } from './books.ts';
import { Lab, RECEIVER } from './lab.ts';
import { captureAll } from './options.ts';
import { buildSockets, Sockets } from './sockets.ts';

/** How long a socket is kept from its data: longer than any reading may take for a loss. */
const KEPT_MS = 3000;
/** Between two scrapes, which are many. */
const SCRAPE_MS = 250;
/** What a segment's latency may be at most, and what a program may take on its way. */
const LOST_AFTER_MS = 17_000;
const CONNECTIONS = 13;
/** So long no packet is on its way past a reading. */
const UNDER_WAY_MS = 2000;
/** Two programs are built, which takes a busy machine long. */
const BUILD_MS_MAX = 240_000;

let lab: Lab;
let program: ReturnType<typeof buildSockets>;
let here: Sockets;
let there: Sockets;
let capture: KernelCapture;
beforeAll(async () => {
  lab = new Lab();
  program = buildSockets();
  here = new Sockets(program.path, lab.sender);
  there = new Sockets(program.path, lab.receiver);
}, BUILD_MS_MAX);
afterAll(async () => {
  await here?.close();
  await there?.close();
  program?.remove();
  lab?.close();
});
beforeEach(() => {
  capture = openKernelCapture(loadAddon(), captureAll());
});
afterEach(() => capture.close());

function read(): { reading: Reading; books: Books } {
  const reading = capture.read();
  if (reading === undefined) throw new Error(capture.failure ?? 'nothing was attached');
  return { reading, books: booksOfReading(reading, 'receive_to_socket') };
}

/**
 * The books as soon as they balance: a packet of another process of this machine may be between two of the
 * counters that a reading reads one after the other.
 */
async function balance(): Promise<Books> {
  const deadline = performance.now() + UNDER_WAY_MS;
  let { books } = read();
  while (books.difference !== 0 && performance.now() < deadline) {
    await sleep(10);
    books = read().books;
  }
  expect(books.difference, JSON.stringify(books)).toBe(0);
  return books;
}

/** Scrapes for so long, each of which balances. */
async function scrapeFor(ms: number): Promise<void> {
  const until = performance.now() + ms;
  while (performance.now() < until) {
    await sleep(SCRAPE_MS);
    await balance();
  }
}

/** Connections of one port: `c0` … here, `a0` … there, where nothing waits. */
async function connections(port: number): Promise<number[]> {
  await there.do(`listen l${port} ${RECEIVER} ${port}`);
  const all = Array.from({ length: CONNECTIONS }, (_, i) => i);
  for (const i of all) {
    await here.do(`connect c${i} ${RECEIVER} ${port}`);
    await there.do(`accept a${i} l${port}`);
  }
  return all;
}

async function close(all: readonly number[], port: number): Promise<void> {
  for (const i of all) {
    await here.do(`close c${i}`);
    await there.do(`close a${i}`);
  }
  await there.do(`close l${port}`);
}

test('data below SO_RCVLOWAT that is told of after many readings leaves the books at 0', async () => {
  const all = await connections(5801);
  for (const i of all) {
    await there.do(`lowat a${i} 100000`);
    await here.do(`write c${i} 100`);
  }
  await scrapeFor(KEPT_MS);
  for (const i of all) await there.do(`lowat a${i} 1`);
  for (const i of all) expect(await there.do(`read a${i}`)).toBe(100);
  await balance();
  await close(all, 5801);
  await balance();
});

test('what waits for a socket’s lock through many readings is observed once, with its whole wait', async () => {
  const all = await connections(5802);
  const before = await balance();
  for (const i of all) {
    await there.do(`hold a${i}`);
    await here.do(`write c${i} 100`);
  }
  await scrapeFor(KEPT_MS);
  expect((await balance()).pending - before.pending).toBeGreaterThanOrEqual(CONNECTIONS);
  for (const i of all) await there.do(`release a${i}`);
  const after = await balance();
  expect(after.pending).toBeLessThan(before.pending + CONNECTIONS);
  expect(observedAbove(KEPT_MS / 1000), JSON.stringify([before, after])).toBe(CONNECTIONS);
  await close(all, 5802);
});

test('what waits for longer than any latency is lost, with and without readings, and not observed later', async () => {
  const all = await connections(5803);
  const before = await balance();
  for (const i of all) {
    await there.do(`hold a${i}`);
    await here.do(`write c${i} 100`);
  }
  const deadline = performance.now() + LOST_AFTER_MS + 5000;
  while (read().books.pending > before.pending && performance.now() < deadline) {
    await balance();
    await sleep(SCRAPE_MS);
  }
  const lost = await balance();
  // What else this machine does may lose packets, too.
  const lostOf = ({ unmatched }: Books): number => unmatched.not_queued ?? 0;
  expect(lostOf(lost) - lostOf(before)).toBeGreaterThanOrEqual(CONNECTIONS);
  for (const i of all) await there.do(`release a${i}`);
  for (const i of all) expect(await there.do(`read a${i}`)).toBeGreaterThanOrEqual(100);
  const after = await balance();
  expect(lostOf(after)).toBeGreaterThanOrEqual(lostOf(lost));
  expect(observedAbove(KEPT_MS / 1000)).toBe(0);
  await close(all, 5803);
});

/** Observations above so many seconds, of the probe that includes the wait for a lock. */
function observedAbove(seconds: number): number {
  return read()
    .reading.latencies.filter(({ probe }) => probe === 'receive_to_socket')
    .flatMap(({ histogram }) => [...histogram.counts].filter((_, i) => boundSeconds(i) > seconds))
    .reduce((sum, n) => sum + n, 0);
}
