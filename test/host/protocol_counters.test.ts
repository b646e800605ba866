// The protocols' counters: captured files, and nstat's word on this machine, where it is read in the
// namespace of a child that sends a known number of datagrams to nobody.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ProtocolCounters,
  parseProtocolCounters,
  readProtocolCounters,
} from '../../src/host/protocol_counters.ts';
import { CAPTURED, capturedTree, withTree } from './proc_trees.ts';

describe('captured', () => {
  test.each(CAPTURED)(
    'Linux %s: 46 datagrams by IPv4 and 14 by IPv6 to a closed port',
    (kernel) => {
      const counters = readProtocolCounters(capturedTree(kernel));
      const udp = { InDatagrams: 0, NoPorts: 46, OutDatagrams: 46, RcvbufErrors: 0, InErrors: 0 };
      expect(Object.fromEntries(counters.get('Udp') ?? [])).toMatchObject(udp);
      expect(Object.fromEntries(counters.get('Udp6') ?? [])).toMatchObject({
        ...udp,
        NoPorts: 14,
        OutDatagrams: 14,
      });
      // In and out is the same here: all of it is on lo, and every datagram has an answer.
      expect(counters.get('Ip')?.get('InReceives')).toBe(2 * 46);
      expect(counters.get('Ip6')?.get('InReceives')).toBe(2 * 14);
      expect(counters.get('IpExt')?.get('InNoECTPkts')).toBe(2 * 46);
      expect(counters.get('IcmpMsg')?.get('InType3')).toBe(46);
      expect(counters.get('Icmp6')?.get('InType1')).toBe(14);
      expect(counters.get('Tcp')?.get('MaxConn')).toBe(-1);
      expect(counters.get('TcpExt')?.get('ListenOverflows')).toBe(0);
      expect(counters.get('TcpExt')?.get('TCPBacklogDrop')).toBe(0);
    },
  );

  test('what a kernel does not have is absent, not 0', () => {
    const udpOf = (kernel: (typeof CAPTURED)[number]): ProtocolCounters =>
      readProtocolCounters(capturedTree(kernel));
    expect(udpOf('5.10').get('Udp')?.has('MemErrors')).toBe(false);
    expect(udpOf('6.1').get('Udp')?.get('MemErrors')).toBe(0);
    expect(udpOf('6.12').has('UdpLite')).toBe(true);
    expect(udpOf('7.2').has('UdpLite')).toBe(false);
  });

  test('a kernel whose IPv6 is off has no snmp6', () => {
    // So found on Linux 7.2 with ipv6.disable=1.
    const files = { 'proc/net/snmp': 'Udp: NoPorts\nUdp: 3\n', 'proc/net/netstat': '' };
    expect(withTree(files, readProtocolCounters)).toEqual(
      new Map([['Udp', new Map([['NoPorts', 3]])]]),
    );
  });

  test('a missing or strange file is told', () => {
    expect(() => withTree({}, readProtocolCounters)).toThrow(/ENOENT.*snmp/);
    const files = { 'proc/net/snmp': 'nothing\n', 'proc/net/netstat': '' };
    expect(() => withTree(files, readProtocolCounters)).toThrow(
      /no line of it is one of a protocol/,
    );
  });
});

describe('forms', () => {
  test('names without a value, values without a name and words are left out', () => {
    const text = [
      'Udp: NoPorts InErrors MemErrors',
      'Udp: 1 x',
      'Tcp: InSegs',
      'Ip: InReceives',
      'Ip: 18446744073709551615 7',
      'Udp6NoPorts 5',
      'Udp6InErrors',
      'strange 4',
    ].join('\n');
    expect(parseProtocolCounters(text)).toEqual(
      new Map([
        ['Udp', new Map([['NoPorts', 1]])],
        ['Ip', new Map([['InReceives', 2 ** 64]])],
        ['Udp6', new Map([['NoPorts', 5]])],
      ]),
    );
  });

  test('no text makes it throw', () => {
    const word = fc.constantFrom(
      'Udp:',
      'Udp6NoPorts',
      ':',
      '6',
      '\n',
      '1',
      '-',
      'x',
      '__proto__:',
    );
    fc.assert(fc.property(fc.array(word), (words) => void parseProtocolCounters(words.join(' '))));
  });
});

describe('this machine', () => {
  test('every counter lies between the two of nstat around it', () => {
    const before = nstat();
    const ours = flat(readProtocolCounters());
    const after = nstat();
    expect(before.size).toBeGreaterThan(100);
    for (const [name, low] of before) {
      // Modulo 2^32, which is as far as nstat counts: IpExtInOctets is beyond within minutes.
      const rise = ((ours.get(name) ?? Number.NaN) - low) % 2 ** 32;
      const riseMax = ((after.get(name) ?? Number.NaN) - low) % 2 ** 32;
      expect(rise, name).toBeGreaterThanOrEqual(0);
      expect(rise, name).toBeLessThanOrEqual(riseMax < 0 ? riseMax + 2 ** 32 : riseMax);
    }
  });

  test('101 datagrams to nobody, and 53 by IPv6: all counters are those of nstat', async () => {
    const script = `ip link set lo up
      send() { for _ in $(seq $2); do echo >/dev/udp/$1/9; done; }
      send 127.0.0.1 101; send ::1 53; echo done; read _`;
    // With a user namespace, which lets users who are not root have a network namespace too.
    const child = spawn('unshare', ['--map-root-user', '--net', 'bash', '-c', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const exit = once(child, 'exit');
    try {
      const said = await Promise.race([once(child.stdout, 'data'), exit]);
      expect(String(said[0])).toBe('done\n');
      const ours = readProtocolCounters({ proc: `/proc/${child.pid}`, sys: '/sys' });
      expect(ours.get('Udp')?.get('NoPorts')).toBe(101);
      expect(ours.get('Udp6')?.get('NoPorts')).toBe(53);
      const inside = ['nsenter', '--user', '--net', '--preserve-credentials', '--target'];
      const theirs = nstat([...inside, String(child.pid)]);
      expect(theirs.size).toBeGreaterThan(100);
      for (const [name, count] of theirs) expect(flat(ours).get(name), name).toBe(count);
    } finally {
      child.stdin.end('\n');
      await exit;
    }
  });
});

/** nstat's counters, without its history: `UdpNoPorts` → count. */
function nstat(prefix: readonly string[] = []): Map<string, number> {
  const [command = '', ...args] = [
    ...prefix,
    'nstat',
    '--ignore',
    '--zeros',
    '--noupdate',
    '--json',
  ];
  const env = { ...process.env, NSTAT_HISTORY: '/dev/null' };
  const text = execFileSync(command, args, { encoding: 'utf8', env });
  const { kernel } = JSON.parse(text) as { kernel: Record<string, number> };
  return new Map(Object.entries(kernel));
}

function flat(counters: ProtocolCounters): Map<string, number> {
  return new Map(
    [...counters].flatMap(([protocol, values]) =>
      [...values].map(([name, value]) => [`${protocol}${name}`, value] as const),
    ),
  );
}
