// Dumps of links by the addon, on the real kernel: against what `ip` says of the same links, of
// answers in many parts, and while links come and go.

import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadAddon } from '../../src/addon/addon.ts';
import { linkRequest, parseLinks } from '../../src/host/links.ts';
import { comparable, fromIp, type IpLink } from '../host/ip_links.ts';
import { failureOf } from './fixture.ts';
import { Netns } from './netns.ts';

const addon = loadAddon();

const X0 = '02:00:00:00:00:01';
const X1 = '02:00:00:00:00:02';

describe('in a namespace of its own', () => {
  let netns: Netns;
  let peer: Netns;
  beforeAll(() => {
    netns = new Netns('links');
    peer = new Netns('links-peer');
    netns.batch([
      'link add br0 type bridge',
      'link add va mtu 1400 numrxqueues 3 type veth peer name vb',
      'link set vb master br0',
      `link add x0 address ${X0} type veth peer name x1 address ${X1} netns ${peer.name}`,
      ...['lo', 'va', 'vb', 'x0'].map((device) => `link set ${device} up`),
      'addr add 10.9.0.1/24 dev x0',
      // Neighbours are known, so that none asks for the other.
      `neigh replace 10.9.0.2 lladdr ${X1} dev x0 nud permanent`,
    ]);
    peer.batch([
      'link set x1 up',
      'addr add 10.9.0.2/24 dev x1',
      `neigh replace 10.9.0.1 lladdr ${X0} dev x1 nud permanent`,
    ]);
    const datagrams = 'for n in {1..7}; do echo one >/dev/udp/10.9.0.2/9; done';
    netns.run('bash', '-c', datagrams);
  });
  afterAll(() => {
    netns.close();
    peer.close();
  });

  test('each link is as `ip` tells it, counters included', () => {
    const links = parseLinks(netns.routeDump(linkRequest()));
    const told = JSON.parse(netns.run('ip', '-s', '-s', '-d', '-j', 'link')) as IpLink[];
    expect(told.map(({ ifname }) => ifname)).toEqual(
      expect.arrayContaining(['br0', 'lo', 'va', 'vb', 'x0']),
    );
    expect(links.length).toBe(told.length);
    for (const [position, link] of links.entries()) {
      const one = told[position] as IpLink;
      expect(comparable(link, one)).toEqual(fromIp(one, told));
    }
    const x0 = links.find(({ name }) => name === 'x0');
    expect(x0).toMatchObject({ kind: 'veth', linkElsewhere: true, stats: { tx_packets: 7 } });
    // The other end answered that nobody listens.
    expect(x0?.stats.rx_packets).toBeGreaterThan(0);
  });

  test('an answer in many parts has each of 307 links once', () => {
    netns.batch(Array.from({ length: 307 }, (_, n) => `link add many${n} type ifb`));
    const names = parseLinks(netns.routeDump(linkRequest())).map(({ name }) => name);
    const many = names.filter((name) => name.startsWith('many'));
    expect(many.length).toBe(307);
    expect(new Set(many).size).toBe(307);
    netns.batch(Array.from({ length: 307 }, (_, n) => `link del many${n}`));
  });
});

describe('in this process', () => {
  test('1009 dumps, and as many refusals, leave no descriptor behind', () => {
    const unknown = request({ type: 16 + 4 * 500 + 2 });
    const before = readdirSync('/proc/self/fd').length;
    for (let done = 0; done < 1009; done++) {
      addon.routeDump(linkRequest());
      expect(() => addon.routeDump(unknown)).toThrow();
    }
    expect(readdirSync('/proc/self/fd').length).toBe(before);
  });

  test('what the kernel does not know is its EOPNOTSUPP', () => {
    const failure = failureOf(() => addon.routeDump(request({ type: 16 + 4 * 500 + 2 })));
    expect(failure).toMatchObject({ operation: 'netlink', code: 'EOPNOTSUPP' });
    expect(failure.message).toBe('cannot ask NETLINK_ROUTE: EOPNOTSUPP (Operation not supported)');
  });

  test.each([
    ['nothing', new Uint8Array(0)],
    ['half a header', new Uint8Array(8)],
    ['a length that is not its own', request({ length: 48 })],
    ['a message that makes a link', request({ type: 16 })],
    ['a message that removes a link', request({ type: 17 })],
    ['a message that is not of NETLINK_ROUTE', request({ type: 2 })],
    ['a question that is not for a dump', request({ flags: 0x1 })],
    ['half the flags of a dump', request({ flags: 0x101 })],
  ])('%s is refused before it is sent', (_, bytes) => {
    const failure = failureOf(() => addon.routeDump(bytes));
    expect(failure).toMatchObject({ operation: 'netlink', code: 'EINVAL' });
    expect(failure.message).toContain('the request is not one message that asks for a dump');
  });

  test('a request that is no Uint8Array is refused', () => {
    const failure = failureOf(() => addon.routeDump('links' as unknown as Uint8Array));
    expect(failure).toMatchObject({ operation: 'netlink', code: 'EINVAL' });
  });
});

test('while links come and go, every answer has all that stay', async () => {
  const netns = new Netns('links-change');
  try {
    netns.batch(Array.from({ length: 101 }, (_, n) => `link add stay${n} type ifb`));
    const lines = Array.from({ length: 101 }, () => ['link add gone type ifb', 'link del gone']);
    const changing = spawn('ip', ['-netns', netns.name, '-batch', '-'], {
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    let ended = false;
    const end = new Promise<void>((resolve) => {
      changing.once('close', () => {
        ended = true;
        resolve();
      });
    });
    changing.stdin.end(lines.flat().join('\n'));
    let dumps = 0;
    do {
      const links = parseLinks(netns.routeDump(linkRequest()));
      expect(links.filter(({ name }) => name.startsWith('stay')).length).toBe(101);
      dumps++;
      await new Promise((resolve) => setImmediate(resolve));
    } while (!ended);
    await end;
    expect(dumps).toBeGreaterThan(1);
  } finally {
    netns.close();
  }
});

function request(changed: { length?: number; type?: number; flags?: number }): Uint8Array {
  const bytes = linkRequest();
  const view = new DataView(bytes.buffer);
  view.setUint32(0, changed.length ?? bytes.length, true);
  view.setUint16(4, changed.type ?? 18, true);
  view.setUint16(6, changed.flags ?? 0x301, true);
  return bytes;
}
