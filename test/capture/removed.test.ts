// What devices that are gone had counted: one device's rows, the sum of all of theirs.

import { expect, test } from 'vitest';
import { withRemoved } from '../../src/capture/removed.ts';
import { REMOVED_KEY } from '../../src/capture/slots.ts';
import { count } from '../../src/histogram/histogram.ts';
import { FIRST, Machine } from './machine.ts';

/** Devices 2, 7 and 9 on the first CPU, 7 and 9 on the second. */
function busy(): Machine {
  const machine = new Machine();
  for (const [cpu, keys] of [
    [0, [2, 7, 9]],
    [1, [9, 7]],
  ] as const) {
    for (const [i, key] of keys.entries()) {
      machine.set32(cpu, 'device_keys', key, i);
      machine.set64(cpu, 'received', key * 100 + cpu, FIRST + i);
      machine.observe(cpu, 'receive_to_socket', (FIRST + i) * 3 + 1, key * 10 + cpu, 1);
      machine.observe(cpu, 'backlog_wait', FIRST + i, key);
      machine.drop(cpu, FIRST + i, 1, key);
      machine.poll(cpu, FIRST + i, [0, key, ...Array(9).fill(0)], [key, 1]);
    }
    machine.set64(cpu, 'reason_keys', 4, 1);
  }
  return machine;
}

const rowsOf = (rows: readonly { readonly device?: unknown }[]) =>
  rows.filter(({ device }) => device === 'removed');

test('the rows of those that are gone are one, and every sum is what it was', () => {
  const before = busy().read({ perCpu: false });
  const after = withRemoved(before, new Set([7, 9]));
  expect(rowsOf(after.received)).toEqual([{ device: 'removed', packets: 3202 }]);
  expect(rowsOf(after.drops)).toEqual([{ reason: 3, device: 'removed', packets: 32 }]);
  expect(rowsOf(after.polls)).toMatchObject([{ packets: 32, exhausted: 4 }]);
  expect(after.latencies.map(({ histogram, ...of }) => [of, count(histogram)])).toEqual([
    [{ probe: 'receive_to_socket', device: 2, protocol: 'udp' }, 20],
    [{ probe: 'backlog_wait', device: 2 }, 2],
    [{ probe: 'receive_to_socket', device: 'removed', protocol: 'udp' }, 322],
    [{ probe: 'backlog_wait', device: 'removed' }, 32],
  ]);
  expect(before.received).toHaveLength(3);
  // The rows that they were made of are what they were.
  expect(before.latencies.map(({ histogram }) => count(histogram))).toEqual([
    20, 141, 181, 2, 14, 18,
  ]);
});

test('each CPU has its own where latencies are by CPU', () => {
  const { latencies } = withRemoved(busy().read(), new Set([7, 9]));
  const left = latencies.filter(({ probe, device }) => probe === 'backlog_wait' && device !== 2);
  expect(left.map(({ device, cpu, histogram }) => [device, cpu, count(histogram)])).toEqual([
    ['removed', 0, 16],
    ['removed', 1, 16],
  ]);
});

test('a slot whose device is gone counts for removed devices until it is free', () => {
  const machine = busy();
  machine.set32(0, 'device_keys', REMOVED_KEY, 1);
  machine.set32(1, 'device_keys', REMOVED_KEY, 0);
  const { received, drops } = machine.read();
  expect(received).toContainEqual({ device: 'removed', packets: 1601 });
  expect(drops).toContainEqual({ reason: 3, device: 'removed', packets: 16 });
});

test('there is no row while nothing has gone, nor of a device that counted nothing', () => {
  const reading = busy().read();
  expect(withRemoved(reading, new Set())).toEqual(reading);
  expect(withRemoved(reading, new Set([11]))).toEqual(reading);
  const idle = new Machine();
  idle.set32(0, 'device_keys', 2, 0);
  expect(withRemoved(idle.read(), new Set([2])).received).toEqual([]);
});
