// The bundled bpftrace scripts on known traffic, under this machine's bpftrace and the newest at once:
// both see the same packets, and count what was sent. lock_sock needs kprobes: see test/vm.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundledScripts } from '../../src/capture/bpftrace/bundled.ts';
import type { Bpftrace } from '../../src/capture/bpftrace/find.ts';
import {
  DOWNLOAD_MS_MAX,
  installedBpftrace,
  newestBpftrace,
  type Printed,
  runBundled,
  withTracefs,
} from './bpftraces.ts';
import { Lab, RECEIVER } from './lab.ts';

const DATAGRAMS = 1009;
const SEGMENTS = 503;
/** Packets of one list. */
const LIST = 8;
/** One packet a softirq, and its reader asleep when the next one comes. */
const GAP = { 'gap-us': 500 } as const;

let lab: Lab;
const folders: string[] = [];
const bpftraces: Bpftrace[] = [];

beforeAll(async () => {
  lab = new Lab();
  for (const program of [await installedBpftrace(), newestBpftrace()]) {
    const folder = mkdtempSync(join(tmpdir(), 'rxscope-bpftrace-'));
    folders.push(folder);
    bpftraces.push(await withTracefs(folder, program));
  }
}, DOWNLOAD_MS_MAX);
afterAll(() => {
  lab?.close();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

async function traffic(): Promise<void> {
  const datagrams = lab.receive('udp', RECEIVER, 5301, DATAGRAMS, { cpu: 1 });
  await datagrams.ready;
  await lab.send('udp', RECEIVER, 5301, DATAGRAMS, { ...GAP, cpu: 0 });
  expect((await datagrams.result).received).toBe(DATAGRAMS);
  const segments = lab.receive('tcp', RECEIVER, 5302, SEGMENTS, { cpu: 1 });
  await segments.ready;
  await lab.send('tcp', RECEIVER, 5302, SEGMENTS, { ...GAP, cpu: 0 });
  await segments.result;
}

/** What each bpftrace printed of the same traffic. `during` runs while both scripts are attached. */
async function underBoth(name: string, during: () => Promise<void>): Promise<Printed[]> {
  const running = await Promise.all(bpftraces.map((bpftrace) => runBundled(name, bpftrace)));
  try {
    await during();
  } finally {
    await Promise.all(running.map(({ stop }) => stop()));
  }
  const printed = await Promise.all(running.map(({ stop }) => stop()));
  for (const { reason, problems } of printed) {
    expect({ reason, problems }).toEqual({ reason: undefined, problems: [] });
  }
  return printed;
}

/**
 * All packets are in the first step. A reader that got no CPU for a while finds segments merged, or
 * takes a datagram in the moment when its socket is told of it: those are counted apart.
 */
function expectFollowed(printed: Printed, protocol: 'udp' | 'tcp', packets: number): void {
  expect(printed.count('softirq_to_receive_ns', `vb,${protocol}`)).toBe(packets);
  const told = printed.count('receive_to_socket_ns', `vb,${protocol}`);
  expect(told).toBeLessThanOrEqual(packets);
  expect(told).toBeGreaterThan(0.97 * packets);
  expect(told + printed.count('told_without_packet', protocol)).toBeGreaterThanOrEqual(packets);
  const read = printed.count('socket_to_read_ns', `${protocol},traffic`);
  expect(read).toBeLessThanOrEqual(told);
  expect(read).toBeGreaterThan(0.97 * packets);
}

/** NET_RX softirqs served so far, by the kernel's own count. */
function servedSoftirqs(): number {
  const line = /^\s*NET_RX:(.*)$/m.exec(readFileSync('/proc/softirqs', 'utf8'))?.[1] ?? '';
  return line
    .trim()
    .split(/\s+/)
    .reduce((sum, n) => sum + Number(n), 0);
}

test('the two bpftraces are of different releases', () => {
  const minors = bpftraces.map(({ version }) => Number(version.split('.')[1]));
  expect(bpftraces.map(({ version }) => version.split('.')[0])).toEqual(['0', '0']);
  expect(minors[0]).toBeGreaterThanOrEqual(17);
  expect(minors[1]).toBeGreaterThanOrEqual(27);
});

test('packet_latency follows each datagram through its three steps, and each segment', async () => {
  const both = await underBoth('packet_latency', traffic);
  for (const printed of both) {
    expect(printed.count('packets', 'vb,udp')).toBe(DATAGRAMS);
    expect(printed.count('packets', 'vb,tcp')).toBe(SEGMENTS);
    expectFollowed(printed, 'udp', DATAGRAMS);
    expectFollowed(printed, 'tcp', SEGMENTS);
    // What it remembers of packets is nobody's business.
    expect(printed.maps().join()).not.toMatch(/_at|device|protocol|next|entered/);
  }
});

test('packet_latency says how long datagrams waited for a slow reader', async () => {
  const waitMs = 300;
  const both = await underBoth('packet_latency', async () => {
    const options = { cpu: 1, 'start-delay-ms': waitMs + 200, buffer: 1 << 20 };
    const receiver = lab.receive('udp', RECEIVER, 5303, 101, options);
    await receiver.ready;
    await lab.send('udp', RECEIVER, 5303, 101, { cpu: 0 });
    await receiver.result;
  });
  for (const { outputs } of both) {
    const waits = outputs.flatMap((one) =>
      one.type === 'hist' && one.name === '@socket_to_read_ns' ? one.rows : [],
    );
    const buckets = waits.find(({ key }) => key === 'udp,traffic')?.buckets ?? [];
    const long = buckets.filter(({ max = Infinity }) => max >= waitMs * 1e6);
    expect(long.reduce((sum, { count }) => sum + count, 0)).toBe(101);
  }
});

test('softirq_delay has an observation for each NET_RX softirq that was raised', async () => {
  const outerBegin = servedSoftirqs();
  let inner = 0;
  const both = await underBoth('softirq_delay', async () => {
    const innerBegin = servedSoftirqs();
    await traffic();
    inner = servedSoftirqs() - innerBegin;
  });
  const outer = servedSoftirqs() - outerBegin;
  expect(inner).toBeGreaterThanOrEqual(DATAGRAMS + SEGMENTS);
  for (const printed of both) {
    const served =
      printed.count('raise_to_entry_ns', 'NET_RX,') +
      printed.count('entry_without_raise', 'NET_RX,');
    expect(served).toBeGreaterThanOrEqual(inner);
    expect(served).toBeLessThanOrEqual(outer);
    expect(printed.count('raise_to_entry_ns', 'NET_RX,')).toBeGreaterThanOrEqual(
      DATAGRAMS + SEGMENTS,
    );
  }
});

describe('the scripts of the probes', () => {
  test.each(['receive_to_socket', 'softirq_to_socket'])(
    '%s counts the same under both, which is what was sent',
    async (probe) => {
      const both = await underBoth(probe, traffic);
      for (const printed of both) {
        expect(printed.count(`${probe}_ns`, 'vb,0,17')).toBe(DATAGRAMS);
        // The end of the connection and its beginning tell a socket, too. A segment that was not alone in
        // its softirq and was merged into one that its reader has not read yet is nobody's.
        const segments = printed.count(`${probe}_ns`, 'vb,0,6');
        const nobodys = printed.count('deliveries_without_start');
        expect(segments + nobodys).toBeGreaterThanOrEqual(SEGMENTS);
        expect(segments).toBeGreaterThan(0.97 * SEGMENTS);
        expect(segments).toBeLessThanOrEqual(SEGMENTS + 3);
      }
    },
  );

  test.each(['receive_to_socket', 'softirq_to_socket'])(
    '%s measures the last packet of a list, and pairs it with no other’s delivery',
    async (probe) => {
      const lists = 101;
      const numbered = lab.build('numbered');
      // With GRO a veth has a NAPI of its own, which hands over what comes at once as a list.
      lab.exec(lab.receiver, 'ethtool', '-K', 'vb', 'gro', 'on');
      try {
        const both = await underBoth(probe, async () => {
          const receiver = lab.receive('udp', RECEIVER, 5304, LIST * lists, { cpu: 1 });
          await receiver.ready;
          const words = [`${LIST * lists}`, `list=${LIST}`, 'gap-us=2000', 'cpu=0'];
          lab.exec(lab.sender, numbered, 'send', RECEIVER, '5304', ...words);
          expect((await receiver.result).received).toBe(LIST * lists);
        });
        for (const printed of both) {
          expect(printed.count(`${probe}_ns`, 'vb,0,17')).toBe(lists);
          // All others were told of when none of them was known any more, or before the last one was.
          expect(printed.count('deliveries_without_start')).toBeGreaterThanOrEqual(
            (LIST - 1) * lists,
          );
        }
      } finally {
        lab.exec(lab.receiver, 'ethtool', '-K', 'vb', 'gro', 'off');
      }
    },
  );

  test('irq_to_softirq has nothing to say of packets that no interrupt brought', async () => {
    for (const printed of await underBoth('irq_to_softirq', traffic)) {
      expect(printed.count('irq_to_softirq_ns')).toBeLessThan(DATAGRAMS);
    }
  });
});

test('where there are no kprobes, lock_sock ends at once under either', async () => {
  const kprobes = readFileSync('/proc/kallsyms', 'utf8').includes(' register_kprobe\n');
  for (const bpftrace of bpftraces) {
    const { reason } = await (await runBundled('lock_sock', bpftrace)).stop();
    if (kprobes) expect(reason).toBeUndefined();
    else expect(reason).not.toBeUndefined();
  }
});

test('no script is left out here', () => {
  expect(bundledScripts().map(({ name }) => name)).toEqual([
    'irq_to_softirq',
    'lock_sock',
    'packet_latency',
    'receive_to_socket',
    'softirq_delay',
    'softirq_to_socket',
  ]);
});
