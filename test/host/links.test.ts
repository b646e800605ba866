// The links in the bytes of NETLINK_ROUTE: as captured from kernels in QEMU guests (fixtures/links_*,
// with what `ip` said of the same links at the same time), damaged, and put together by hand.

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LINK_STATISTICS, linkRequest, parseLinks } from '../../src/host/links.ts';
import { comparable, fromIp, type IpLink } from './ip_links.ts';

interface Capture {
  readonly kernel: string;
  readonly bytes: Uint8Array;
  readonly ip: readonly IpLink[];
}

function capture(name: string): Capture {
  const path = new URL(`fixtures/links_${name}.json`, import.meta.url);
  const { kernel, base64, ip } = JSON.parse(readFileSync(path, 'utf8')) as {
    kernel: string;
    base64: string;
    ip: IpLink[];
  };
  return { kernel, bytes: new Uint8Array(Buffer.from(base64, 'base64')), ip };
}

const LINUX_5_10 = capture('5.10');
const LINUX_6_1 = capture('6.1');
const LINUX_7_2 = capture('7.2');

describe.each([LINUX_5_10, LINUX_6_1, LINUX_7_2])('of Linux $kernel', ({ bytes, ip }) => {
  const links = parseLinks(bytes);

  test('each is as `ip` told it', () => {
    expect(links.length).toBe(ip.length);
    for (const [position, link] of links.entries()) {
      const told = ip[position] as IpLink;
      expect(comparable(link, told)).toEqual(fromIp(told, ip));
    }
  });

  test('bond, bridge, VLAN, VRF and veths are told apart, with who belongs to whom', () => {
    const named = (name: string) => links.find((link) => link.name === name);
    expect(links.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['bond', 'bridge', 'dummy', 'veth', 'vlan', 'vrf', undefined]),
    );
    expect(named('d0')?.master).toBe(named('bond0')?.ifindex);
    expect(named('vb')?.master).toBe(named('br0')?.ifindex);
    expect(named('va.7')).toMatchObject({ link: named('va')?.ifindex, linkElsewhere: false });
    expect(named('v0')).toMatchObject({ linkElsewhere: true });
    expect(named('va')?.mtu).toBe(1400);
  });

  test('datagrams are counted: 5 sent, 1 over loopback', () => {
    const statsOf = (name: string) => links.find((link) => link.name === name)?.stats;
    expect(statsOf('v0')?.tx_packets).toBeGreaterThanOrEqual(5);
    // The datagram, and the answer that nobody listens.
    expect(statsOf('lo')).toMatchObject({ rx_packets: 2, tx_packets: 2 });
  });

  test('bytes in the midst of others, at an odd address, are read alike', () => {
    const around = new Uint8Array(bytes.length + 13).fill(0xff);
    around.set(bytes, 7);
    expect(parseLinks(around.subarray(7, 7 + bytes.length))).toEqual(links);
  });

  test('an answer that is cut gives the whole links before the cut, or throws', () => {
    const ends = new Set<number>([0]);
    for (let at = 0; at < bytes.length; ) {
      at += (new DataView(bytes.buffer).getUint32(at, true) + 3) & ~3;
      ends.add(at);
    }
    const everySeventh = Array.from({ length: bytes.length / 7 }, (_, n) => 7 * n);
    for (const cut of new Set([...ends, ...everySeventh])) {
      const part = bytes.subarray(0, cut);
      if (ends.has(cut)) expect(parseLinks(part)).toEqual(links.slice(0, [...ends].indexOf(cut)));
      else expect(() => parseLinks(part)).toThrow();
    }
  });
});

test('frames for another host are a counter of its own since 5.19, and absent before', () => {
  const statsOf = ({ bytes }: Capture) =>
    parseLinks(bytes).find(({ name }) => name === 'v0')?.stats;
  expect(statsOf(LINUX_5_10)).not.toHaveProperty('rx_otherhost_dropped');
  expect(statsOf(LINUX_6_1)?.rx_otherhost_dropped).toBe(3);
  expect(statsOf(LINUX_7_2)?.rx_otherhost_dropped).toBe(3);
});

test('hardware is told with its bus and place, from 5.13 on', () => {
  const hardware = parseLinks(LINUX_6_1.bytes).filter(({ parentDevice }) => parentDevice);
  expect(hardware.length).toBeGreaterThanOrEqual(5);
  for (const link of hardware) {
    expect(link).not.toHaveProperty('kind');
    expect(link.parentBus).toMatch(/^(pci|virtio)$/);
  }
});

describe('put together by hand', () => {
  const NAME = attribute(3, [...Buffer.from('eth0\0')]);
  const STATS = attribute(23, [...new Uint8Array(25 * 8)]);

  test('each counter stands in its place, 40 bits and more of it', () => {
    const values = LINK_STATISTICS.map((_, position) => 2 ** 40 + position);
    const bytes = new Uint8Array(BigUint64Array.from(values.map(BigInt)).buffer);
    const [link] = parseLinks(message(16, [...NAME, ...attribute(23, [...bytes])]));
    expect(Object.entries(link?.stats ?? {})).toEqual(
      LINK_STATISTICS.map((name, position) => [name, values[position]]),
    );
  });

  test('what is unknown is passed over: attributes, messages, counters after those we know', () => {
    const more = attribute(23, [...new Uint8Array(31 * 8)]);
    const bytes = Uint8Array.of(
      ...message(99, [1, 2, 3]),
      ...message(16, [...attribute(0x3abc, [1]), ...NAME, ...attribute(0x8000 | 58, []), ...more]),
      ...message(17, [...NAME, ...STATS]),
    );
    const links = parseLinks(bytes);
    expect(links.map(({ name }) => name)).toEqual(['eth0']);
    expect(Object.keys(links[0]?.stats ?? {})).toEqual([...LINK_STATISTICS]);
  });

  test('a state that no kernel has yet is unknown', () => {
    const [link] = parseLinks(message(16, [...NAME, ...STATS, ...attribute(16, [99])]));
    expect(link?.operationalState).toBe('unknown');
  });

  test.each([
    ['a message of no length', message(16, [...NAME, ...STATS], 0)],
    ['a message longer than the answer', message(16, [...NAME, ...STATS], 4096)],
    ['an attribute of no length', message(16, [...NAME, ...STATS, 0, 0, 3, 0])],
    ['an attribute longer than its message', message(16, [...NAME, ...STATS, 5, 0, 3, 0])],
    ['a link without a name', message(16, STATS)],
    ['a link without counters', message(16, NAME)],
    ['too few counters', message(16, [...NAME, ...attribute(23, [...new Uint8Array(23 * 8)])])],
    ['a number of two bytes', message(16, [...NAME, ...STATS, ...attribute(4, [1, 2])])],
  ])('%s throws', (_, bytes) => {
    expect(() => parseLinks(bytes)).toThrow();
  });
});

test('whatever is damaged in an answer, reading it ends, with links or an Error', () => {
  const whole = LINUX_5_10.bytes.subarray(0, 4096);
  const damage = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 7 });
  fc.assert(
    fc.property(damage, fc.nat(whole.length), (changes, length) => {
      const bytes = whole.slice(0, length);
      for (const [at, value] of changes) if (at < length) bytes[at] = value;
      try {
        return parseLinks(bytes).length <= 4096 / 32;
      } catch (error) {
        return error instanceof Error;
      }
    }),
    { numRuns: 1009 },
  );
});

test('the request is one message that asks for a dump of links', () => {
  expect([...linkRequest()]).toEqual([
    ...[32, 0, 0, 0, 18, 0, 0x01, 0x03, 0, 0, 0, 0, 0, 0, 0, 0],
    ...new Array<number>(16).fill(0),
  ]);
});

function padded(bytes: readonly number[]): number[] {
  return [...bytes, ...new Array<number>((4 - (bytes.length % 4)) % 4).fill(0)];
}

function attribute(type: number, payload: readonly number[]): number[] {
  const length = 4 + payload.length;
  return padded([length & 255, length >> 8, type & 255, type >> 8, ...payload]);
}

/** A message with struct ifinfomsg, all zero, before its attributes; with a false length if given. */
function message(type: number, attributes: readonly number[], length?: number): Uint8Array {
  const bytes = Uint8Array.from(padded([...new Array<number>(32).fill(0), ...attributes]));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length ?? 32 + attributes.length, true);
  view.setUint16(4, type, true);
  return bytes;
}
