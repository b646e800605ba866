// The recent drops: bounded, newest first, and named.

import { describe, expect, test } from 'vitest';
import type { DropRecord } from '../../src/capture/records.ts';
import { DropEvents, type NamedDrop } from '../../src/readings/drop_events.ts';

const IPV4 = 0x0800;
const IPV6 = 0x86dd;

/** One that has just been dropped: a UDP datagram from port 5000 to 53 on interface 2. */
function drop(changes: Partial<DropRecord> = {}): DropRecord {
  return {
    timeNs: Number(process.hrtime.bigint()),
    cpu: 1,
    reason: 6,
    location: 0xffff_ffff_8123_4567n,
    ifindex: 2,
    otherNetns: false,
    noDevice: false,
    ethertype: IPV4,
    transport: 17,
    localPort: 53,
    remotePort: 5000,
    length: 129,
    pid: 1009,
    comm: 'resolver',
    ...changes,
  };
}

function listOf(max: number, named = true): DropEvents {
  return new DropEvents(max, {
    dropDevice: ({ ifindex, otherNetns }) => (otherNetns ? '(other netns)' : `eth${ifindex}`),
    dropReason: (reason) => (reason === 6 ? 'SOCKET_RCVBUFF' : `UNKNOWN_${reason}`),
    functionAt: (address) => (named ? `function_${address.toString(16)}` : undefined),
  });
}

test('the list is bounded: the oldest makes room, and the newest comes first', () => {
  const drops = listOf(3);
  for (const pid of [2, 3, 5, 7, 11]) drops.add(drop({ pid }));
  expect(drops.list().map(({ pid }) => pid)).toEqual([11, 7, 5]);
});

/** The one drop of a list, as it is listed. */
function listed(changes: Partial<DropRecord> = {}, named = true): NamedDrop {
  const drops = listOf(3, named);
  drops.add(drop(changes));
  const [first, ...others] = drops.list();
  if (first === undefined || others.length > 0) throw new Error('not one drop');
  return first;
}

test('the list that was handed out does not change with the next drop', () => {
  const drops = listOf(3);
  drops.add(drop());
  const before = drops.list();
  drops.add(drop({ pid: 2 }));
  expect(before).toHaveLength(1);
});

test('a function is named when the list is asked for, and not before', () => {
  const asked: bigint[] = [];
  const drops = new DropEvents(3, {
    dropDevice: () => 'eth0',
    dropReason: () => 'NO_SOCKET',
    functionAt: (address) => {
      asked.push(address);
      return undefined;
    },
  });
  drops.add(drop());
  expect(asked).toEqual([]);
  drops.list();
  expect(asked).toEqual([0xffff_ffff_8123_4567n]);
});

describe('a drop', () => {
  test('has names for all that is known of it', () => {
    const startedMs = Date.now();
    const named = listed();
    expect(named).toEqual({
      time: named.time,
      reason: 'SOCKET_RCVBUFF',
      function: 'function_ffffffff81234567',
      device: 'eth2',
      cpu: 1,
      protocol: 'udp',
      local_port: 53,
      remote_port: 5000,
      bytes: 129,
      pid: 1009,
      comm: 'resolver',
    });
    expect(named.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(Math.abs(Date.parse(named.time) - startedMs)).toBeLessThan(1000);
  });

  test('leaves out ports and a function that are not known', () => {
    const named = listed({ localPort: 0, remotePort: 0, transport: 1 }, false);
    expect(Object.keys(named).sort()).toEqual(
      ['bytes', 'comm', 'cpu', 'device', 'pid', 'protocol', 'reason', 'time'].sort(),
    );
  });

  test('may have one port alone', () => {
    const named = listed({ remotePort: 0 });
    expect(named.local_port).toBe(53);
    expect(named).not.toHaveProperty('remote_port');
  });

  test('asks for its device with all that tells whose it is', () => {
    expect(listed({ otherNetns: true }).device).toBe('(other netns)');
  });

  test('tells the wall-clock time of an old one, not that of its arrival', () => {
    const timeNs = Number(process.hrtime.bigint()) - 60e9;
    const { time } = listed({ timeNs });
    expect(Math.abs(Date.now() - Date.parse(time) - 60_000)).toBeLessThan(1000);
  });

  test.each([
    [IPV4, 6, 'tcp'],
    [IPV6, 6, 'tcp'],
    [IPV6, 17, 'udp'],
    [IPV4, 1, 'icmp'],
    [IPV6, 58, 'icmpv6'],
    [IPV4, 2, 'igmp'],
    [IPV4, 47, 'gre'],
    [IPV4, 50, 'esp'],
    [IPV4, 132, 'sctp'],
    // What has no name here keeps its number.
    [IPV4, 89, 'ip 89'],
    [0x0806, 0, 'arp'],
    [0x88cc, 0, 'ethertype 0x88cc'],
    [0x0004, 0, 'ethertype 0x0004'],
    // No IP: what lies where an IP header has its protocol says nothing.
    [0x88cc, 17, 'ethertype 0x88cc'],
  ])('of ethertype %i and protocol %i is %s', (ethertype, transport, protocol) => {
    expect(listed({ ethertype, transport }).protocol).toBe(protocol);
  });
});
