// The reading, put together from memory that a test filled: what each word means, whose each histogram is,
// and what several CPUs are together.

import { describe, expect, test } from 'vitest';
import { FATES, FLAWS } from '../../src/capture/books.ts';
import { OTHER_REASON, type Reading } from '../../src/capture/reading.ts';
import { deviceSlots } from '../../src/capture/slots.ts';
import { count } from '../../src/histogram/histogram.ts';
import { CATALOGUE, PROBES } from '../../src/probes/index.ts';
import { DEVICES, FIRST, Machine, NONE } from './machine.ts';

/** Latencies without their histograms, and how many each holds. */
function counted({ latencies }: Reading) {
  return latencies.map(({ histogram, ...of }) => [of, count(histogram)]);
}

/** eth2 and eth7 have slots on two CPUs, not the same ones; on the third CPU there is no device. */
function withDevices(machine = new Machine()): Machine {
  machine.set32(0, 'device_keys', 2, 0);
  machine.set32(0, 'device_keys', 7, 1);
  machine.set32(1, 'device_keys', 7, 0);
  machine.set32(1, 'device_keys', 2, 3);
  return machine;
}

describe('a machine that has counted nothing', () => {
  test('has no latencies, and zeros for all else', () => {
    const reading = new Machine().read();
    expect(reading).toMatchObject({
      ...{ latencies: [], received: [], drops: [], transmitDrops: 0, polls: [] },
      ...{ deliveriesWithoutStart: 0, pending: 0 },
    });
    const ids = CATALOGUE.map(({ id }) => id);
    expect(reading.events).toEqual(Object.fromEntries(ids.map((id) => [id, { sent: 0, lost: 0 }])));
  });

  test('has every cause that can occur, with 0', () => {
    const { unmatched } = new Machine().read();
    expect(Object.keys(unmatched)).toEqual(PROBES.map(({ id }) => id));
    const causes = Object.fromEntries(
      Object.entries(unmatched).map(([id, counts]) => [id, Object.keys(counts)]),
    );
    expect(causes).toMatchObject({
      irq_to_softirq: ['clock', 'already_raised'],
      receive_to_socket: [...FATES, 'clock'],
      softirq_raise_to_entry: ['clock', 'no_raise'],
      hardirq_duration: ['clock'],
    });
    const counts = Object.values(unmatched).flatMap((of) => Object.values(of));
    expect(new Set(counts)).toEqual(new Set([0]));
  });
});

describe('latencies', () => {
  test('by device and protocol follow the device to its slot on each CPU', () => {
    const machine = withDevices();
    machine.observe(0, 'receive_to_socket', FIRST * 3 + 1, 7, 2);
    machine.observe(0, 'receive_to_socket', (FIRST + 1) * 3, 11);
    machine.observe(1, 'receive_to_socket', FIRST * 3, 13);
    machine.observe(1, 'receive_to_socket', (FIRST + 3) * 3 + 1, 17, 3);
    // Slots of nobody's.
    machine.observe(2, 'receive_to_socket', FIRST * 3 + 1, 19);
    const probe = 'receive_to_socket';
    const reading = machine.read({ perCpu: false });
    expect(counted(reading)).toEqual([
      [{ probe, device: 2, protocol: 'udp' }, 24],
      [{ probe, device: 7, protocol: 'tcp' }, 24],
    ]);
    expect(reading.latencies[0]?.histogram).toMatchObject({ sumNs: 24_000, overBudget: 5 });
    expect(counted(machine.read())).toEqual([
      [{ probe, device: 2, protocol: 'udp', cpu: 0 }, 7],
      [{ probe, device: 7, protocol: 'tcp', cpu: 0 }, 11],
      [{ probe, device: 7, protocol: 'tcp', cpu: 1 }, 13],
      [{ probe, device: 2, protocol: 'udp', cpu: 1 }, 17],
    ]);
  });

  test('without a slot of their own are those of the overflow and of other namespaces', () => {
    const machine = new Machine();
    machine.observe(0, 'softirq_to_socket', 2, 7);
    machine.observe(1, 'softirq_to_socket', 3, 11);
    machine.observe(2, 'softirq_to_socket', NONE * 3, 13);
    const probe = 'softirq_to_socket';
    expect(counted(machine.read({ perCpu: false }))).toEqual([
      [{ probe, device: 'overflow', protocol: 'other' }, 7],
      [{ probe, device: 'other_netns', protocol: 'tcp' }, 11],
      [{ probe, device: 'none', protocol: 'tcp' }, 13],
    ]);
  });

  test('by device alone may have none', () => {
    const machine = withDevices();
    machine.observe(0, 'napi_poll', FIRST + 1, 7);
    machine.observe(0, 'napi_poll', NONE, 11);
    machine.observe(1, 'backlog_wait', FIRST, 13);
    expect(counted(machine.read({ perCpu: false }))).toEqual([
      [{ probe: 'backlog_wait', device: 7 }, 13],
      [{ probe: 'napi_poll', device: 7 }, 7],
      [{ probe: 'napi_poll', device: 'none' }, 11],
    ]);
  });

  test('by protocol need no device', () => {
    const machine = new Machine();
    for (const [slot, n] of [7, 11, 13].entries()) machine.observe(1, 'socket_to_read', slot, n);
    machine.observe(2, 'wakeup_to_run', 0, 17);
    expect(counted(machine.read({ perCpu: false }))).toEqual([
      [{ probe: 'socket_to_read', protocol: 'tcp' }, 7],
      [{ probe: 'socket_to_read', protocol: 'udp' }, 11],
      [{ probe: 'socket_to_read', protocol: 'other' }, 13],
      [{ probe: 'wakeup_to_run', protocol: 'tcp' }, 17],
    ]);
  });

  test('by interrupt carry its number: 0 too, and the last slot’s', () => {
    const machine = new Machine();
    // Kept as irq + 1: a slot with 0 is free.
    machine.set32(0, 'irq_keys', 1, 0);
    machine.set32(0, 'irq_keys', 39, 15);
    machine.set32(1, 'irq_keys', 39, 4);
    machine.observe(0, 'irq_to_softirq', 0, 7);
    machine.observe(0, 'irq_to_softirq', 1, 11);
    machine.observe(0, 'irq_to_softirq', 16, 13);
    machine.observe(1, 'irq_to_softirq', 5, 17);
    machine.observe(1, 'irq_to_softirq', 1, 19);
    machine.observe(1, 'hardirq_duration', 5, 23);
    const probe = 'irq_to_softirq';
    expect(counted(machine.read({ perCpu: false }))).toEqual([
      [{ probe, irq: 'overflow' }, 7],
      [{ probe, irq: 0 }, 11],
      [{ probe, irq: 38 }, 30],
      [{ probe: 'hardirq_duration', irq: 38 }, 23],
    ]);
    expect(counted(machine.read()).at(-1)).toEqual([
      { probe: 'hardirq_duration', irq: 38, cpu: 1 },
      23,
    ]);
  });

  test('by vector carry its name', () => {
    const machine = new Machine();
    machine.observe(0, 'softirq_raise_to_entry', 3, 7);
    machine.observe(2, 'softirq_raise_to_entry', 3, 11);
    machine.observe(2, 'softirq_duration', 9, 13);
    const probe = 'softirq_raise_to_entry';
    expect(counted(machine.read({ perCpu: false }))).toEqual([
      [{ probe, vector: 'NET_RX' }, 18],
      [{ probe: 'softirq_duration', vector: 'RCU' }, 13],
    ]);
  });

  test('lie elsewhere where other probes are off, and are those of their probe', () => {
    const machine = new Machine(['hardirq_duration', 'softirq_duration']);
    machine.observe(1, 'hardirq_duration', 0, 7);
    machine.observe(2, 'softirq_duration', 0, 11);
    expect(counted(machine.read())).toEqual([
      [{ probe: 'hardirq_duration', irq: 'overflow', cpu: 1 }, 7],
      [{ probe: 'softirq_duration', vector: 'HI', cpu: 2 }, 11],
    ]);
  });
});

describe('packets', () => {
  test('that were received are by device, over all CPUs, beyond 32 bits', () => {
    const machine = withDevices();
    machine.set64(0, 'received', 5_000_000_029, FIRST);
    machine.set64(1, 'received', 7, FIRST + 3);
    machine.set64(1, 'received', 11, 0);
    machine.set64(2, 'received', 13, 1);
    // eth7 has a slot for what this CPU delivered, and received nothing.
    expect(machine.read().received).toEqual([
      { device: 2, packets: 5_000_000_036 },
      { device: 7, packets: 0 },
      { device: 'overflow', packets: 11 },
      { device: 'other_netns', packets: 13 },
    ]);
  });

  test('that were dropped are by reason and device; each CPU has slots of its own', () => {
    const machine = withDevices();
    // Kept as reason + 1; slot 0 is that of the reasons that found none.
    machine.set64(0, 'reason_keys', 3, 1);
    machine.set64(0, 'reason_keys', 0xffff_ffff + 1, 63);
    machine.set64(1, 'reason_keys', 3, 40);
    machine.set64(2, 'reason_keys', 3, 5);
    machine.drop(0, FIRST, 1, 7);
    machine.drop(0, FIRST, 0, 11);
    machine.drop(0, FIRST + 1, 63, 13);
    machine.drop(1, FIRST + 3, 40, 17);
    machine.drop(1, NONE, 40, 5_000_000_029);
    machine.drop(2, 1, 0, 19);
    expect(machine.read().drops).toEqual([
      { reason: OTHER_REASON, device: 2, packets: 11 },
      { reason: 2, device: 2, packets: 24 },
      { reason: 0xffff_ffff, device: 7, packets: 13 },
      { reason: 2, device: 'none', packets: 5_000_000_029 },
      { reason: OTHER_REASON, device: 'other_netns', packets: 19 },
    ]);
  });

  test('that were dropped elsewhere, and what was told of drops, are sums', () => {
    const machine = new Machine();
    for (const [cpu, n] of [7, 11, 13].entries()) {
      machine.set64(cpu, 'transmit_drops', n);
      machine.set64(cpu, 'drop_events', 10 * n);
      machine.set64(cpu, 'drop_events_lost', 100 * n);
    }
    const { transmitDrops, events } = machine.read();
    expect(transmitDrops).toBe(31);
    expect(events.drops).toEqual({ sent: 310, lost: 3100 });
  });

  test('that polls handed over are by device', () => {
    const machine = withDevices();
    const polls = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
    machine.poll(0, FIRST, polls, [503, 2]);
    machine.poll(1, FIRST + 3, polls, [509, 3]);
    machine.poll(1, NONE, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], [300, 1]);
    expect(machine.read().polls).toEqual([
      { device: 2, polls: polls.map((n) => 2 * n), packets: 1012, exhausted: 5 },
      { device: 'none', polls: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], packets: 300, exhausted: 1 },
    ]);
  });

  test('are not asked for where neither drops nor polls are measured', () => {
    const machine = withDevices(new Machine(['receive_to_socket']));
    machine.drop(0, FIRST, 0, 7);
    machine.poll(0, FIRST, [1], [0, 0]);
    expect(machine.read()).toMatchObject({ drops: [], polls: [] });
  });

  test('whose fate is open are those under way on every CPU, and those in the TCP table', () => {
    const machine = new Machine();
    machine.set32(0, 'ring_head', 7);
    machine.set32(0, 'ring_tail', 18);
    // Both only grow, and wrap.
    machine.set32(1, 'ring_head', 0xffff_fffe);
    machine.set32(1, 'ring_tail', 3);
    expect(machine.read({ tcp: { lost: 101, open: 13 } }).pending).toBe(11 + 5 + 13);
  });
});

describe('what could not be used', () => {
  test('of a packet is the same for both packet probes, each with its own causes besides', () => {
    const machine = new Machine();
    for (const [i] of FATES.entries()) {
      machine.set64(0, 'fates', i + 1, i);
      machine.set64(2, 'fates', 100 * (i + 1), i);
    }
    // A probe has nine places: the clock first.
    for (let i = 0; i < 6; i++) machine.set64(1, 'flaws', 7 + i, 9 + i);
    const { unmatched } = machine.read({ tcp: { lost: 10_007, open: 0 } });
    const fates = Object.fromEntries(FATES.map((fate, i) => [fate, 101 * (i + 1)]));
    // What left the TCP table without a trace was not queued, either.
    fates.not_queued = (fates.not_queued ?? 0) + 10_007;
    expect(unmatched.receive_to_socket).toEqual({ ...fates, clock: 0 });
    expect(unmatched.softirq_to_socket).toEqual({
      ...fates,
      ...{ clock: 7, outside_softirq: 8, socket_backlog: 9, threaded_napi: 10, busy_poll: 11 },
      attached_midway: 12,
    });
    for (const id of ['irq_to_softirq', 'backlog_wait', 'socket_to_read']) {
      expect(unmatched[id]).not.toHaveProperty('dropped', 101);
      expect(unmatched[id]).not.toHaveProperty('no_socket');
    }
  });

  test('of an interrupt says that NET_RX was raised already', () => {
    const machine = new Machine();
    // The first probe's flaws: the clock, and its own.
    machine.set64(0, 'flaws', 7, 1);
    machine.set64(1, 'flaws', 11, 1);
    machine.set64(1, 'flaws', 13, 0);
    expect(machine.read().unmatched.irq_to_softirq).toEqual({ already_raised: 18, clock: 13 });
  });

  test.each(PROBES.map(({ id, causes }, i) => ({ id, causes, i })))(
    'of $id is by its own causes, in their order',
    ({ id, causes, i }) => {
      const machine = new Machine();
      for (let j = 0; j < FLAWS; j++) machine.set64(2, 'flaws', 1009 + j, i * FLAWS + j);
      const { unmatched } = machine.read();
      const own = Object.fromEntries(['clock', ...causes].map((cause, j) => [cause, 1009 + j]));
      expect(unmatched[id]).toMatchObject(own);
      const elsewhere = PROBES.filter((other) => other.id !== id).flatMap((other) =>
        Object.values(unmatched[other.id] ?? {}),
      );
      expect(new Set(elsewhere)).toEqual(new Set([0]));
    },
  );
});

test('events and deliveries without a start are sums over the CPUs, events by probe', () => {
  const machine = new Machine();
  for (const [i] of PROBES.entries()) {
    machine.set64(0, 'events', 100 + i, i);
    machine.set64(2, 'events', 1000, i);
    machine.set64(1, 'events_lost', 200 + i, i);
  }
  machine.set64(0, 'deliveries_without_start', 7);
  machine.set64(2, 'deliveries_without_start', 11);
  expect(machine.read()).toMatchObject({
    events: Object.fromEntries(PROBES.map(({ id }, i) => [id, { sent: 1100 + i, lost: 200 + i }])),
    deliveriesWithoutStart: 18,
  });
});

test('device slots beyond the configured number are nobody’s', () => {
  const machine = new Machine();
  machine.set32(0, 'device_keys', 2, DEVICES);
  machine.set64(0, 'received', 7, deviceSlots(machine.shape) - 1);
  expect(machine.read().received).toEqual([]);
});
