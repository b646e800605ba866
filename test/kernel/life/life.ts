// One random life of a host: devices, sockets, traffic and readings in any order. Runs in the namespace that
// its devices come to be in; random_life.test.ts starts it there. Prints one line of JSON.
//
// Usage: life.ts SEED EVENTS SOCKETS_PROGRAM NAMESPACE OTHER_NAMESPACE

import { setTimeout as sleep } from 'node:timers/promises';
import { loadAddon } from '../../../src/addon/addon.ts';
import { openKernelCapture } from '../../../src/capture/kernel_capture.ts';
import type { Reading } from '../../../src/capture/reading.ts';
import { boundSeconds } from '../../../src/histogram/bounds.ts';
import { listDevices } from '../../../src/host/devices.ts';
import { booksOfReading } from '../books.ts';
import { captureAll } from '../options.ts';
import { ALL_PROBES } from '../path.ts';
import { Sockets } from '../sockets.ts';
import { Devices } from './devices.ts';
import { Random } from './random.ts';
import { Traffic } from './traffic.ts';

const PACKET_PROBES = ['softirq_to_socket', 'receive_to_socket'] as const;
/** Events between two moments at which nothing is under way. */
const BETWEEN_QUIET = 250;
/** So long a packet of another process may be between two counters that one reading reads. */
const UNDER_WAY_MS = 10_000;

const [seed, events, program = '', here = '', there = ''] = process.argv.slice(2);
const random = new Random(Number(seed));
const capture = openKernelCapture(loadAddon(), captureAll({ probes: [...ALL_PROBES, 'drops'] }));
const devices = new Devices(random, there);
const sockets = [new Sockets(program, here), new Sockets(program, there)] as const;
const traffic = new Traffic(random, devices, ...sockets);
const recent: string[] = [];
let totals = new Map<string, number>();
let readings = 0;
let removedMax = 0;

/** As a scrape does: reads, frees the slots of what is gone, and lets no sum fall. */
function scrape(): Reading {
  const reading = capture.read(random.chance(50));
  if (reading === undefined) throw new Error(capture.failure ?? 'nothing was attached');
  readings++;
  const listed = new Set(listDevices().map(({ ifindex }) => ifindex));
  const seen = reading.received.map(({ device }) => device);
  capture.forgetDevices(
    new Set(seen.filter((device) => typeof device === 'number' && !listed.has(device)) as number[]),
  );
  const removed = reading.received.find(({ device }) => device === 'removed')?.packets ?? 0;
  if (removed < removedMax) throw new Error(`removed devices had ${removedMax}, now ${removed}`);
  removedMax = removed;
  const now = totalsOf(reading);
  for (const [name, before] of totals) {
    const after = now.get(name) ?? 0;
    if (after < before) throw new Error(`${name} has fallen from ${before} to ${after}`);
  }
  totals = now;
  return reading;
}

/** What must never fall. */
function totalsOf(reading: Reading): Map<string, number> {
  return new Map(
    PACKET_PROBES.flatMap((probe): [string, number][] => {
      const { received, observed, unmatched } = booksOfReading(reading, probe);
      return [
        ['received', received],
        [`${probe} observed`, observed],
        ...Object.entries(unmatched).map(([cause, n]): [string, number] => [
          `${probe} ${cause}`,
          n,
        ]),
      ];
    }),
  );
}

/** Nothing is under way: the books balance, to the unit. */
async function quiet(): Promise<Reading> {
  const deadline = performance.now() + UNDER_WAY_MS;
  for (;;) {
    const reading = scrape();
    const books = PACKET_PROBES.map((probe) => booksOfReading(reading, probe));
    if (books.every(({ difference }) => difference === 0)) return reading;
    if (performance.now() > deadline) throw new Error(JSON.stringify(books));
    await sleep(10);
  }
}

/** Seconds, at most, that any packet took from its receipt to its socket. */
function latencyMax(reading: Reading): number {
  const buckets = reading.latencies
    .filter(({ probe }) => probe === 'receive_to_socket')
    .map(({ histogram }) => histogram.counts.findLastIndex((n) => n > 0));
  return boundSeconds(Math.max(0, ...buckets));
}

let at = 0;
try {
  await traffic.start();
  let changing = Promise.resolve();
  for (; at < Number(events); at++) {
    if (random.chance(12)) {
      // Beside the traffic, and one after the other.
      await changing;
      const [what, done] = devices.change();
      changing = done;
      recent.push(what);
    } else if (random.chance(6)) {
      scrape();
      recent.push('scrape');
    } else {
      recent.push(await traffic.event());
    }
    if (recent.length > 40) recent.shift();
    if (at % BETWEEN_QUIET !== BETWEEN_QUIET - 1) continue;
    await changing;
    await quiet();
  }
  await changing;
  await traffic.release(0);
  await Promise.all(sockets.map((one) => one.close()));
  await devices.close();
  await quiet();
  const last = await quiet();
  const [books] = PACKET_PROBES.map((probe) => booksOfReading(last, probe));
  const result = { events: at, readings, removed: removedMax, books };
  console.log(
    JSON.stringify({ ...result, latencyMax: latencyMax(last), heldMax: traffic.heldMsMax / 1000 }),
  );
} catch (error) {
  console.log(JSON.stringify({ events: at, readings, error: String(error), recent }));
} finally {
  capture.close();
  for (const one of sockets) one.kill();
}
process.exit(0);
