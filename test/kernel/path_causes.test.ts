// The probes beside the mission's three with a known cause each: it raises its probe, and no other by as
// much, but those whose interval contains the probe's own.

import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Captured, captureOnce } from '../../src/capture/capture_once.ts';
import type { Protocol } from '../../src/capture/slots.ts';
import { emptyTable } from './drops.ts';
import { Lab, RECEIVER, withSysctl } from './lab.ts';
import { captureAll } from './options.ts';
import { ALL_PROBES, growth, meansOf } from './path.ts';

/** All others' growth may be so much of the raised probe's. */
const SHARE_MAX = 1 / 3;

/** A reader on the sender's CPU that need not wait for the sender. */
const READER = { cpu: 0, priority: 10, buffer: 20_000_000 };

let lab: Lab;
let hog: string;
let folder: string;
beforeAll(() => {
  lab = new Lab();
  folder = mkdtempSync('/var/tmp/rxscope-causes-');
  hog = join(folder, 'hog');
  const source = fileURLToPath(new URL('../vm/fixtures/hog.cc', import.meta.url));
  execFileSync('g++', ['-O2', '-std=c++20', '-Wall', '-Werror', '-o', hog, source]);
});
afterAll(() => {
  lab?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** `probe` has grown by `leastNs`, and no other but `containing` by a third as much. */
function expectRaised(
  before: Captured,
  after: Captured,
  protocol: Protocol,
  probe: string,
  leastNs: number,
  containing: readonly string[] = [],
): void {
  const all = growth(before, after, protocol);
  const says = JSON.stringify(all);
  const grown = all.find(([id]) => id === probe)?.[1] ?? 0;
  console.log(
    `${probe}: mean ${meansOf(before, protocol).get(probe)?.toFixed(0)} ns before; growth ${says}`,
  );
  expect(grown, says).toBeGreaterThan(leastNs);
  for (const [id, ns] of all) {
    if (id === probe || containing.includes(id)) continue;
    expect(ns, `${id}: ${says}`).toBeLessThan(grown * SHARE_MAX);
  }
}

const measureAll = (during: () => Promise<unknown>): Promise<Captured> =>
  captureOnce(captureAll({ probes: ALL_PROBES }), during);

/** A real-time task that computes on CPU 1, two thirds of the time. */
const withHog = (bursts: number): Promise<unknown> =>
  promisify(execFile)(hog, ['1', '60', `${bursts}`, '97', '53']);

test('a slow reader raises socket_to_read alone', async () => {
  const n = 211;
  const reader = (port: number, delayUs: number) => async (): Promise<void> => {
    const receiver = lab.receive('tcp', RECEIVER, port, 1, { cpu: 1, 'read-delay-us': delayUs });
    await receiver.ready;
    await lab.send('tcp', RECEIVER, port, n, { cpu: 0, size: 100, 'gap-us': 4000 });
    await receiver.result;
  };
  const before = await measureAll(reader(5701, 0));
  const after = await measureAll(reader(5702, 30_000));
  expectRaised(before, after, 'tcp', 'socket_to_read', 5e6);
});

test('a real-time task on the reader’s CPU raises wakeup_to_run alone', async () => {
  const n = 401;
  const datagrams = (port: number) => async (): Promise<void> => {
    const receiver = lab.receive('udp', RECEIVER, port, n, { cpu: 1 });
    await receiver.ready;
    await lab.send('udp', RECEIVER, port, n, { cpu: 0, 'gap-us': 4000 });
    await receiver.result;
  };
  const before = await measureAll(datagrams(5703));
  const after = await measureAll(() => Promise.all([datagrams(5704)(), withHog(9)]));
  expectRaised(before, after, 'udp', 'wakeup_to_run', 200_000);
});

test('a busy target CPU raises backlog_wait alone', async () => {
  const n = 401;
  const datagrams = (port: number) => async (): Promise<void> => {
    const receiver = lab.receive('udp', RECEIVER, port, n, READER);
    await receiver.ready;
    // Not in step with the flood's bursts.
    await lab.send('udp', RECEIVER, port, n, { 'gap-us': 2300 });
    await receiver.result;
  };
  // The flood, for a port that nobody has, takes the target longer than the sender.
  const chain = '{ type filter hook prerouting priority 0; }';
  const slow = Array.from({ length: 1000 }, () => 'add rule ip slow c udp sport 1 drop');
  emptyTable(lab, lab.receiver, 'ip', 'slow');
  lab.exec(lab.receiver, 'nft', `add chain ip slow c ${chain}`);
  lab.exec(
    lab.receiver,
    'nft',
    ['add rule ip slow c udp dport != 5799 accept', ...slow].join('\n'),
  );
  await onePerRun(async () => {
    const before = await measureAll(datagrams(5705));
    const options = { cpu: 0, burst: 200, 'gap-us': 4000, size: 1400 };
    const flood = lab.send('udp', RECEIVER, 5799, 40_000, options);
    const after = await measureAll(datagrams(5706));
    await flood;
    expectRaised(before, after, 'udp', 'backlog_wait', 200_000);
  });
  lab.exec(lab.receiver, 'nft', 'delete table ip slow');
});

test('a real-time task on a CPU that owes softirqs raises softirq_raise_to_entry', async () => {
  // After ten runs the rest is left to ksoftirqd, which the real-time task keeps from running, and so to
  // the next interrupt. What waits for a run also waits on its backlog.
  const n = 8003;
  const datagrams = (port: number) => async (): Promise<void> => {
    const receiver = lab.receive('udp', RECEIVER, port, n, READER);
    await receiver.ready;
    await lab.send('udp', RECEIVER, port, n, { cpu: 0, burst: 64, 'gap-us': 10_000 });
    await receiver.result;
  };
  await onePerRun(async () => {
    const before = await measureAll(datagrams(5707));
    const after = await measureAll(() => Promise.all([datagrams(5708)(), withHog(9)]));
    expectRaised(before, after, 'udp', 'softirq_raise_to_entry', 10_000, ['backlog_wait']);
  });
});

/**
 * RPS gives all packets to CPU 1, which takes one in each run of the softirq: so a packet waits for
 * others on the backlog, and not in the run that handles it.
 */
async function onePerRun(during: () => Promise<void>): Promise<void> {
  const rps = (mask: string): string =>
    lab.exec(lab.receiver, 'sh', '-c', `echo ${mask} > /sys/class/net/vb/queues/rx-0/rps_cpus`);
  const undo = ['net.core.dev_weight', 'net.core.netdev_budget'].map((name) =>
    withSysctl(name, '1'),
  );
  try {
    rps('2');
    await during();
  } finally {
    rps('0');
    for (const back of undo) back();
  }
}
