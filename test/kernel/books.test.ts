// softirq_to_socket and receive_to_socket on real packets: every one is accounted for.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Captured, captureOnce } from '../../src/capture/capture_once.ts';
import { booksOf, observedOf, printBooks } from './books.ts';
import { Lab, RECEIVER, RECEIVER_V6 } from './lab.ts';
import { captureAll } from './options.ts';
import { measureWatched } from './unseen.ts';

let lab: Lab;
beforeAll(() => {
  lab = new Lab();
});
afterAll(() => lab?.close());

const BUFFER = 100_000_000;
/** Multicast listener reports and the like, which the kernel itself sends and drops meanwhile. */
const NOISE_MAX = 16;

function expectBalance(captured: Captured): void {
  for (const probe of ['softirq_to_socket', 'receive_to_socket'] as const) {
    const { difference, pending } = booksOf(captured, probe);
    expect({ probe, difference, pending }, printBooks(captured)).toEqual({
      probe,
      difference: 0,
      pending: 0,
    });
  }
}

describe('one sender', () => {
  test.each([
    ['IPv4', RECEIVER, 'Udp'],
    ['IPv6', RECEIVER_V6, 'Udp6'],
  ] as const)(
    '100003 UDP datagrams over %s are observed or dropped, to the unit',
    async (_, address, snmp) => {
      const n = 100_003;
      const drops = lab.counter(snmp, 'RcvbufErrors');
      const { captured, unseen } = await measureWatched(captureAll(), async () => {
        const receiver = lab.receive('udp', address, 5001, n, { buffer: BUFFER, cpu: 1 });
        await receiver.ready;
        await lab.send('udp', address, 5001, n, { cpu: 0 });
        await receiver.result;
      });
      const dropped = lab.counter(snmp, 'RcvbufErrors') - drops;
      expectBalance(captured);
      for (const probe of ['softirq_to_socket', 'receive_to_socket'] as const) {
        expect(observedOf(captured, probe, 'udp') + dropped, printBooks(captured)).toBe(n - unseen);
        expect((booksOf(captured, probe).unmatched.dropped ?? 0) - dropped).toBeLessThan(NOISE_MAX);
      }
    },
  );

  test('10007 TCP messages: every segment that the kernel counts is accounted for', async () => {
    const segments = lab.counter('Tcp', 'InSegs');
    const merged = lab.counter('TcpExt', 'TCPBacklogCoalesce');
    const captured = await captureOnce(captureAll(), async () => {
      const receiver = lab.receive('tcp', RECEIVER, 5002, 1, { cpu: 1 });
      await receiver.ready;
      await lab.send('tcp', RECEIVER, 5002, 10_007, { cpu: 0, size: 100 });
      expect((await receiver.result).bytes).toBe(1_000_700);
    });
    expectBalance(captured);
    const received = lab.counter('Tcp', 'InSegs') - segments;
    // What the kernel merged into an earlier segment on the socket's backlog has no delivery.
    const coalesced = lab.counter('TcpExt', 'TCPBacklogCoalesce') - merged;
    const observed = observedOf(captured, 'receive_to_socket', 'tcp') + coalesced;
    // SYN and the bare acknowledgements of one's own FIN carry nothing; all else is data.
    expect(observed, printBooks(captured)).toBeGreaterThan(received - 20);
    expect(observed, printBooks(captured)).toBeLessThanOrEqual(received);
  });
});

test('two senders on two CPUs to one UDP socket: each of 200006 datagrams is accounted for', async () => {
  const n = 100_003;
  const before = lab.counter('Udp', 'RcvbufErrors');
  const { captured, unseen } = await measureWatched(captureAll(), async () => {
    const receiver = lab.receive('udp', RECEIVER, 5003, 2 * n, { buffer: BUFFER, 'idle-ms': 3000 });
    await receiver.ready;
    await Promise.all([
      lab.send('udp', RECEIVER, 5003, n, { cpu: 0 }),
      lab.send('udp', RECEIVER, 5003, n, { cpu: 1 }),
    ]);
    await receiver.result;
  });
  expectBalance(captured);
  const dropped = lab.counter('Udp', 'RcvbufErrors') - before;
  const { unmatched } = booksOf(captured, 'receive_to_socket');
  const udp = observedOf(captured, 'receive_to_socket', 'udp');
  // What one CPU queued for the other has no delivery on its own CPU; the delivery without a start
  // is the same packet seen from the other side.
  expect(udp + (unmatched.not_queued ?? 0) + dropped, printBooks(captured)).toBe(2 * n - unseen);
  const withoutStart = captured.reading?.deliveriesWithoutStart ?? Number.NaN;
  // One of them may be unseen, and the other not.
  expect(Math.abs(withoutStart - (unmatched.not_queued ?? 0))).toBeLessThanOrEqual(unseen);
  console.log(`two senders: ${udp} observed, ${unmatched.not_queued} queued by the other CPU`);
});

test('a full socket buffer: the kernel and the books count the same drops', async () => {
  const n = 5003;
  const before = lab.counter('Udp', 'RcvbufErrors');
  const { captured, unseen } = await measureWatched(captureAll(), async () => {
    const receiver = lab.receive('udp', RECEIVER, 5004, n, {
      buffer: 4096,
      'start-delay-ms': 500,
      'idle-ms': 300,
    });
    await receiver.ready;
    await lab.send('udp', RECEIVER, 5004, n);
    await receiver.result;
  });
  const dropped = lab.counter('Udp', 'RcvbufErrors') - before;
  expect(dropped).toBeGreaterThan(4000);
  expectBalance(captured);
  const counted = booksOf(captured, 'receive_to_socket').unmatched.dropped ?? 0;
  expect(counted).toBeGreaterThanOrEqual(dropped - unseen);
  expect(counted - dropped).toBeLessThan(NOISE_MAX);
  const observed = observedOf(captured, 'receive_to_socket', 'udp');
  expect(observed + dropped).toBeGreaterThanOrEqual(n - unseen);
  expect(observed + dropped).toBeLessThanOrEqual(n);
});

test('datagrams for a port that nobody has are counted as no_socket', async () => {
  const n = 1009;
  const send = () => lab.send('udp', RECEIVER, 5999, n);
  const { captured, unseen } = await measureWatched(captureAll(), send);
  expectBalance(captured);
  expect(booksOf(captured, 'receive_to_socket').unmatched.no_socket, printBooks(captured)).toBe(
    n - unseen,
  );
  expect(observedOf(captured, 'receive_to_socket', 'udp')).toBe(0);
});

describe('packets that arrive in lists, as drivers with GRO deliver them', () => {
  beforeAll(() => {
    // With GRO on, a veth device polls by NAPI and hands over lists (netif_receive_skb_list): what its
    // other end has not segmented.
    lab.exec(lab.receiver, 'ethtool', '-K', 'vb', 'gro', 'on');
    lab.exec(lab.sender, 'ethtool', '-K', 'va', 'tso', 'off');
  });
  afterAll(() => {
    lab.exec(lab.receiver, 'ethtool', '-K', 'vb', 'gro', 'off');
    lab.exec(lab.sender, 'ethtool', '-K', 'va', 'tso', 'on');
  });

  test('100003 UDP datagrams are each matched with their own delivery', async () => {
    const n = 100_003;
    const drops = lab.counter('Udp', 'RcvbufErrors');
    const { captured, unseen } = await measureWatched(captureAll(), async () => {
      const receiver = lab.receive('udp', RECEIVER, 5005, n, { buffer: BUFFER, cpu: 1 });
      await receiver.ready;
      await lab.send('udp', RECEIVER, 5005, n, { cpu: 0 });
      await receiver.result;
    });
    expectBalance(captured);
    const dropped = lab.counter('Udp', 'RcvbufErrors') - drops;
    expect(observedOf(captured, 'receive_to_socket', 'udp') + dropped, printBooks(captured)).toBe(
      n - unseen,
    );
    expect(captured.reading?.deliveriesWithoutStart).toBe(0);
  });

  test('a TCP stream at full speed balances, the socket backlog included', async () => {
    const captured = await captureOnce(captureAll(), async () => {
      const receiver = lab.receive('tcp', RECEIVER, 5006, 1, { cpu: 1 });
      await receiver.ready;
      await lab.send('tcp', RECEIVER, 5006, 5003, { cpu: 0, size: 60_000 });
      expect((await receiver.result).bytes).toBe(5003 * 60_000);
    });
    expectBalance(captured);
    const observed = observedOf(captured, 'receive_to_socket', 'tcp');
    const { socket_backlog = 0 } = booksOf(captured, 'softirq_to_socket').unmatched;
    // A packet that waited on the backlog is a sample of receive_to_socket, and only of it.
    expect(observedOf(captured, 'softirq_to_socket', 'tcp') + socket_backlog).toBe(observed);
    expect(captured.reading?.deliveriesWithoutStart, printBooks(captured)).toBe(0);
    console.log(`TCP: ${observed} observed, ${socket_backlog} of them from the socket backlog`);
  });
});
