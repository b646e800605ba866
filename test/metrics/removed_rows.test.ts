// The cap on series and devices that go: what "(other)" keeps of a folded device is not counted a second time
// as that of removed devices.

import { expect, test } from 'vitest';
import type { Family, HistogramFamily, ScalarSample } from '../../src/metrics/model.ts';
import { SeriesCap } from '../../src/metrics/series_cap.ts';

const RECEIVED = 'rxscope_received_packets_total';
const LATENCY = 'rxscope_receive_to_socket_seconds';

/** Device by device, how many packets each received and how many were observed within a second. */
type Counts = Readonly<Record<string, number>>;

function gather(counts: Counts): Family[] {
  const rows = Object.entries(counts);
  return [
    {
      type: 'counter',
      name: RECEIVED,
      help: 'Packets.',
      samples: rows.map(([device, value]) => ({ labels: { device }, value })),
    },
    {
      type: 'histogram',
      name: LATENCY,
      help: 'A latency.',
      samples: rows.map(([device, n]) => ({
        labels: { device, protocol: 'udp' },
        sum: n / 3,
        count: n,
        classic: { bounds: [1], counts: [n, 0] },
      })),
    },
  ];
}

interface Shown {
  readonly packets: Readonly<Record<string, number>>;
  readonly observed: Readonly<Record<string, number>>;
}

function shown(families: readonly Family[]): Shown {
  const samplesOf = (name: string) =>
    families.find((family) => family.name === name)?.samples ?? [];
  const packets = samplesOf(RECEIVED) as readonly ScalarSample[];
  const latencies = samplesOf(LATENCY) as HistogramFamily['samples'];
  return {
    packets: Object.fromEntries(packets.map(({ labels, value }) => [labels.device, value])),
    observed: Object.fromEntries(
      latencies.map(({ labels, classic }) => [labels.device, classic.counts[0] ?? 0]),
    ),
  };
}

const sum = (of: Readonly<Record<string, number>>): number =>
  Object.values(of).reduce((total, n) => total + n, 0);

test('however many devices go, folded or not, the sum stays and nothing falls', () => {
  const cap = new SeriesCap(60);
  const devices = Array.from({ length: 40 }, (_, i): [string, number] => [
    `veth${i}`,
    1000 - i * 7,
  ]);
  const there = new Map<string, number>([['lo', 5000], ...devices]);
  const all = sum(Object.fromEntries(there));
  let last: Shown | undefined;
  let removed = 0;
  for (const [device, packets] of [['none', 0] as const, ...devices.toReversed()]) {
    if (there.delete(device)) removed += packets;
    const counts = {
      ...Object.fromEntries(there),
      ...(removed > 0 ? { '(removed)': removed } : {}),
    };
    const now = shown(cap.apply(gather(counts)));
    for (const kind of ['packets', 'observed'] as const) {
      expect(sum(now[kind]), `${kind} without ${device}`).toBe(all);
      for (const name of ['(other)', '(removed)'])
        expect(now[kind][name] ?? 0).toBeGreaterThanOrEqual(last?.[kind][name] ?? 0);
    }
    last = now;
  }
  expect(last?.packets['(other)']).toBeGreaterThan(0);
  expect(last?.packets['(removed)']).toBeGreaterThan(0);
});

test('a folded device that comes back by the same name begins anew, and its past is counted once', () => {
  const cap = new SeriesCap(60);
  const many = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`veth${i}`, 1000]));
  const small = { ...many, tun0: 9 };
  expect(sum(shown(cap.apply(gather(small))).packets)).toBe(40_009);
  const anew = shown(cap.apply(gather({ ...many, tun0: 2, '(removed)': 9 })));
  expect(sum(anew.packets)).toBe(40_011);
  expect(sum(anew.observed)).toBe(40_011);
});
