// Devices that go and come again by the same name, in what a script counts by name.

import { expect, test } from 'vitest';
import { RemovedDevices } from '../../../src/capture/bpftrace/removed_devices.ts';
import type { ScriptReading } from '../../../src/capture/bpftrace/script_reading.ts';
import { coarseCount, emptyCoarse } from '../../../src/histogram/coarse_histogram.ts';

/** What the script has counted since it began: packets, each of which was observed. */
function counted(packets: Readonly<Record<string, number>>): ScriptReading {
  const rows = Object.entries(packets);
  return {
    received: rows.map(([name, n]) => ({ device: { name }, packets: n })),
    latencies: rows.map(([name, n]) => {
      const histogram = { ...emptyCoarse(), sumNs: n * 1000 };
      histogram.counts[4] = n;
      return { device: { name }, protocol: 'udp', histogram };
    }),
    unmatched: {},
    deliveriesWithoutStart: 0,
    pending: 0,
  };
}

function shown(reading: ScriptReading): { received: object; observed: object } {
  const label = (device: unknown): string =>
    typeof device === 'object' && device !== null && 'name' in device
      ? String(device.name)
      : String(device);
  return {
    received: Object.fromEntries(reading.received.map((row) => [label(row.device), row.packets])),
    observed: Object.fromEntries(
      reading.latencies.map((row) => [label(row.device), coarseCount(row.histogram)]),
    ),
  };
}

test('what a device had stays when it goes, and is not another’s by the same name', () => {
  const removed = new RemovedDevices();
  const there = new Set<string>();
  const read = (packets: Readonly<Record<string, number>>, ...names: string[]) => {
    there.clear();
    for (const name of names) there.add(name);
    const isGone = (device: unknown): boolean =>
      typeof device === 'object' &&
      device !== null &&
      !there.has((device as { name: string }).name);
    const { received, observed } = shown(removed.apply(counted(packets), isGone));
    expect(observed).toEqual(received);
    return received;
  };
  expect(read({ eth0: 7, tun0: 11 }, 'eth0', 'tun0')).toEqual({ eth0: 7, tun0: 11 });
  expect(read({ eth0: 8, tun0: 13 }, 'eth0')).toEqual({ eth0: 8, removed: 13 });
  expect(read({ eth0: 9, tun0: 16 }, 'eth0', 'tun0')).toEqual({ eth0: 9, tun0: 3, removed: 13 });
  expect(read({ eth0: 9, tun0: 17 })).toEqual({ removed: 26 });
});
