// What is freed undelivered and was not on the receive path: packets on their way out, also forwarded
// ones, and messages that are no packets. They must not be among the drops, and packets that were
// received must be, whichever way they were to go next.
//
//      namespace rxa                       namespace rxb                      rxc
//   sender  va 10.77.0.1  ──veth──  vb 10.77.0.2  router  vc 10.79.0.1  ──veth──  vd 10.79.0.2
//           ve 10.80.0.1  ──veth──  vp  bridge br0  vg  ────────veth────────────  vh 10.80.0.2

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Dropped,
  droppedFor,
  emptyTable,
  firewall,
  fullQueue,
  measureDrops,
  printDrops,
} from './drops.ts';
import { Lab, RECEIVER, run } from './lab.ts';
import { USUAL_PROBES } from './options.ts';

const THIRD = `rxc-${process.pid}`;
const ROUTED = '10.79.0.2';
const BRIDGED = '10.80.0.2';
const folder = mkdtempSync(join(tmpdir(), 'rxscope-drops-'));
const N = 211;
/** Unix and netlink messages of others on this machine that nobody reads are counted, too. */
const NOISE_MAX = 16;

let lab: Lab;
beforeAll(async () => {
  lab = new Lab();
  run('ip', 'netns', 'add', THIRD);
  const ip = (namespace: string, ...words: string[]): string =>
    run('ip', '-n', namespace, ...words);
  const pair = (here: string, one: string, there: string, other: string): void => {
    ip(here, 'link', 'add', one, 'type', 'veth', 'peer', 'name', other, 'netns', there);
    ip(here, 'link', 'set', one, 'up');
    ip(there, 'link', 'set', other, 'up');
  };
  pair(lab.receiver, 'vc', THIRD, 'vd');
  pair(lab.sender, 've', lab.receiver, 'vp');
  pair(lab.receiver, 'vg', THIRD, 'vh');
  ip(lab.receiver, 'link', 'add', 'br0', 'up', 'type', 'bridge');
  for (const port of ['vp', 'vg']) ip(lab.receiver, 'link', 'set', port, 'master', 'br0');
  for (const [namespace, device, address] of [
    [lab.receiver, 'vc', '10.79.0.1/24'],
    [THIRD, 'vd', `${ROUTED}/24`],
    [lab.sender, 've', '10.80.0.1/24'],
    [THIRD, 'vh', `${BRIDGED}/24`],
  ] as const)
    ip(namespace, 'addr', 'add', address, 'dev', device);
  ip(lab.sender, 'route', 'add', '10.79.0.0/24', 'via', RECEIVER);
  ip(THIRD, 'route', 'add', '10.77.0.0/24', 'via', '10.79.0.1');
  lab.exec(lab.receiver, 'sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward');
  // Neighbours are known to each other afterwards.
  for (const address of [ROUTED, BRIDGED]) await lab.send('udp', address, 9, 1);
  const source = fileURLToPath(new URL('./traffic/unread.cc', import.meta.url));
  run('g++', '-O2', '-std=c++20', '-Wall', '-Werror', '-o', join(folder, 'unread'), source);
});
afterAll(() => {
  lab?.close();
  run('ip', 'netns', 'del', THIRD);
  rmSync(folder, { recursive: true, force: true });
});

function expectTransmitDrops(measured: Dropped, count: number): void {
  const transmitDrops = (measured.reading?.transmitDrops ?? 0) + measured.unseenDrops();
  expect(transmitDrops, printDrops(measured)).toBeGreaterThanOrEqual(count);
  expect(transmitDrops, printDrops(measured)).toBeLessThan(count + NOISE_MAX);
}

/** The rule must not depend on whether the packets are followed besides. */
const ALONE = ['drops'];
const FOLLOWED = [...USUAL_PROBES, 'drops'];

describe.each([
  ['drops alone', ALONE, 0],
  ['with the packet probes', FOLLOWED, 100],
] as const)('%s', (_, probes, base) => {
  test.each([
    ['received, for this host', 'ip', 'input', 0, RECEIVER, 'drop'],
    ['received, before its route is known', 'ip', 'prerouting', 1, ROUTED, 'drop'],
    ['forwarded, where the router decides', 'ip', 'forward', 2, ROUTED, 'drop'],
    ['forwarded, on its way out', 'ip', 'postrouting', 3, ROUTED, 'transmit'],
    ['bridged, where it came in', 'bridge', 'prerouting', 4, BRIDGED, 'drop'],
    ['bridged, on its way out', 'bridge', 'forward', 5, BRIDGED, 'transmit'],
  ] as const)('a firewall drops what was %s', async (_, family, hook, offset, to, side) => {
    const port = 5650 + base + offset;
    const byRule = firewall(lab, lab.receiver, hook, port, family);
    const measured = await measureDrops(() => lab.send('udp', to, port, N), { probes });
    expect(byRule()).toBe(N);
    const dropped = droppedFor(measured, 'NETFILTER_DROP', 'other_netns');
    expect(dropped, printDrops(measured)).toBe(side === 'drop' ? N : 0);
    expectTransmitDrops(measured, side === 'drop' ? 0 : N);
  });

  test('a firewall drops what this host sends', async () => {
    const port = 5660 + base;
    const byRule = firewall(lab, lab.sender, 'output', port);
    const send = () => lab.send('udp', RECEIVER, port, N, { refusals: 1 });
    const measured = await measureDrops(send, { probes });
    expect(byRule()).toBe(N);
    expect(droppedFor(measured, 'NETFILTER_DROP'), printDrops(measured)).toBe(0);
    expectTransmitDrops(measured, N);
  });

  test('a firewall drops ARP requests, which no socket owns and no link header marks', async () => {
    const nft = (words: string): string => lab.exec(lab.sender, 'nft', words);
    emptyTable(lab, lab.sender, 'arp', 'none');
    nft('add chain arp none c { type filter hook output priority 0; }');
    nft('add rule arp none c counter drop');
    const byRule = (): number => Number(/packets (\d+)/.exec(nft('list table arp none'))?.[1]);
    const measured = await measureDrops(
      async () => {
        await lab.send('udp', `10.77.0.${200 + base / 100}`, 9, 1);
        while (byRule() < 3) await sleep(50);
      },
      { probes },
    );
    nft('delete table arp none');
    expect(droppedFor(measured, 'NETFILTER_DROP'), printDrops(measured)).toBe(0);
    expectTransmitDrops(measured, 3);
  });

  test.each([
    ['its own', 'va', RECEIVER, 0],
    ['forwarded', 'vc', ROUTED, 1],
    ['bridged', 'vg', BRIDGED, 2],
  ] as const)(
    'a full queue before a device: packets that are %s',
    async (_, device, to, offset) => {
      const namespace = device === 'va' ? lab.sender : lab.receiver;
      const byQueue = fullQueue(lab, namespace, device);
      let queueDropped = 0;
      const measured = await measureDrops(
        async () => {
          await lab.send('udp', to, 5670 + base + offset, N);
          queueDropped = byQueue();
          // What still waits is thrown away with the queue.
          lab.exec(namespace, 'tc', 'qdisc', 'del', 'dev', device, 'root');
          await sleep(100);
        },
        { probes },
      );
      expect(queueDropped).toBeGreaterThan(100);
      // Each one either reached the other end, where no socket waits, or was dropped on its way out.
      const refused = droppedFor(measured, 'NO_SOCKET', 'other_netns');
      expectTransmitDrops(measured, N - refused);
      expect(N - refused).toBeGreaterThanOrEqual(queueDropped);
      expect(droppedFor(measured, 'QDISC_DROP'), printDrops(measured)).toBe(0);
      expect(droppedFor(measured, 'QDISC_OVERLIMIT')).toBe(0);
    },
  );

  test.each(['unix', 'netlink'])('unread messages of a %s socket', async (kind) => {
    const measured = await measureDrops(() => closeUnread(kind), { probes });
    expectTransmitDrops(measured, 7);
    const received = measured.reading?.drops.filter(({ device }) => device === 'none');
    expect(received, printDrops(measured)).toEqual([]);
  });

  test('datagrams that a socket’s closing leaves unread are drops: they were received', async () => {
    const measured = await measureDrops(() => closeUnread('udp'), { probes });
    // UDP has written over skb->dev by then.
    expect(droppedFor(measured, 'NOT_SPECIFIED', 'none'), printDrops(measured)).toBe(7);
  });
});

/** Seven messages to a socket that is closed without having read any. */
async function closeUnread(kind: string): Promise<void> {
  lab.exec(lab.receiver, join(folder, 'unread'), kind, '7');
  // UDP frees its sockets after a grace period (SOCK_RCU_FREE).
  await sleep(500);
}
