// The cap on series over made-up gathers: who gets a place, who keeps it, what "(other)" adds up to.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { emptyHistogram, toClassic, toNative } from '../../src/histogram/histogram.ts';
import type { Family, HistogramSample, Labels } from '../../src/metrics/model.ts';
import { seriesOf } from '../../src/metrics/samples.ts';
import { SeriesCap } from '../../src/metrics/series_cap.ts';
import { SHARES } from '../../src/metrics/series_shares.ts';

const PACKETS = 'rxscope_interface_receive_packets_total';
const LATENCY = 'rxscope_receive_to_socket_seconds';
const DROPPED = 'rxscope_series_dropped_total';

describe('places', () => {
  test('nothing is changed while all fits, rows of zero and their order included', () => {
    const families = [
      packets({ eth1: 0, eth0: 7, lo: 0 }),
      latency({ 'eth0 tcp': 3, 'lo udp': 0 }),
    ];
    const capped = new SeriesCap(2_000).apply(families);
    expect(capped.slice(0, 2)).toEqual(families);
    expect(droppedOf(capped, PACKETS)).toBe(0);
  });

  test('a family that is not listed is never folded', () => {
    const labelSets = Array.from({ length: 300 }, (_, i) => ({ irq: String(i) }));
    const family = counter(
      'rxscope_of_its_own_total',
      labelSets.map((labels) => [labels, 1]),
    );
    expect(new SeriesCap(100).apply([family])[0]).toEqual(family);
  });

  test('the highest have a row of their own, the others one together, which all add up', () => {
    const values = devices(40);
    const capped = new SeriesCap(60).apply([packets(values)]);
    const rows = valuesOf(capped, PACKETS);
    expect(rows.get('(other)')).toBeGreaterThan(0);
    expect(total(rows)).toBe(total(new Map(Object.entries(values))));
    const own = [...rows.keys()].filter((device) => device !== '(other)');
    const highest = Object.keys(values).slice(-own.length);
    expect(own.toSorted()).toEqual(highest.toSorted());
    expect(droppedOf(capped, PACKETS)).toBe(40 - own.length);
  });

  test('who has a row keeps it, whatever the others count', () => {
    const cap = new SeriesCap(60);
    const values = devices(40);
    const before = [...valuesOf(cap.apply([packets(values)]), PACKETS).keys()];
    const later = Object.fromEntries(
      Object.entries(values).map(([device, value], i) => [device, value + 1_000_000 - i * 1_000]),
    );
    const capped = cap.apply([packets(later)]);
    expect([...valuesOf(capped, PACKETS).keys()]).toEqual(before);
    expect(total(valuesOf(capped, PACKETS))).toBe(total(new Map(Object.entries(later))));
  });

  test('a label set is counted once, however often it is folded', () => {
    const cap = new SeriesCap(60);
    const first = droppedOf(cap.apply([packets(devices(40))]), PACKETS);
    expect(droppedOf(cap.apply([packets(devices(40))]), PACKETS)).toBe(first);
    expect(droppedOf(cap.apply([packets(devices(43))]), PACKETS)).toBe(first + 3);
  });

  test('the place of a device that is gone goes to a new one, not to one that was folded', () => {
    const cap = new SeriesCap(60);
    const values = devices(40);
    const own = [...valuesOf(cap.apply([packets(values)]), PACKETS).keys()];
    const { eth39: _, ...rest } = values;
    const rows = valuesOf(cap.apply([packets({ ...rest, eth99: 5 })]), PACKETS);
    expect([...rows.keys()].toSorted()).toEqual(
      own.map((device) => (device === 'eth39' ? 'eth99' : device)).toSorted(),
    );
    expect(rows.get('eth99')).toBe(5);
  });

  test('rows of zero are shown while there is room, and give way to others', () => {
    const cap = new SeriesCap(100);
    const zeros = Object.fromEntries(Object.keys(devices(40)).map((device) => [device, 0]));
    const idle = valuesOf(cap.apply([packets(zeros)]), PACKETS);
    expect(idle.size).toBe(40);
    const rows = valuesOf(cap.apply([packets({ ...zeros, ...devices(7) }), wide(60)]), PACKETS);
    expect([...rows.values()].filter((value) => value > 0)).toHaveLength(7);
    expect(rows.size, '100 series less those of the other families').toBe(39);
  });

  test('the vector that receives has a row of its own from the start, whoever counts more', () => {
    const name = 'rxscope_softirq_raise_to_entry_seconds';
    const vectors = (values: Readonly<Record<string, number>>): Family => {
      const family = latency(values);
      const samples = histogramsOf([family], LATENCY).map(({ labels, ...sample }) => ({
        ...sample,
        labels: { vector: labels.device ?? '' },
      }));
      return { type: 'histogram', name, help: '', samples };
    };
    const cap = new SeriesCap(130);
    cap.apply([vectors({ TIMER: 5, NET_RX: 0, RCU: 9, SCHED: 7 })]);
    const capped = cap.apply([vectors({ TIMER: 9_000, NET_RX: 1, RCU: 9_000, SCHED: 9_000 })]);
    const rows = histogramsOf(capped, name).map(({ labels, count }) => [labels.vector, count]);
    expect(Object.fromEntries(rows)).toMatchObject({ NET_RX: 1, '(other)': 18_000 });
    expect(rows).toHaveLength(3);
  });

  test('settings are left out and counted, not summed', () => {
    const name = 'rxscope_device_receive_ring_descriptors';
    const samples = Array.from({ length: 50 }, (_, i) => ({
      labels: { device: `eth${i}` },
      value: 0,
    }));
    const capped = new SeriesCap(40).apply([{ type: 'gauge', name, help: '', samples }]);
    const rows = valuesOf(capped, name);
    expect(rows.has('(other)')).toBe(false);
    expect(rows.size + droppedOf(capped, name)).toBe(50);
    expect([...rows.keys()][0]).toBe('eth0');
  });
});

describe('the row of the others', () => {
  test('does not run backwards when a folded device is gone, comes back or begins anew', () => {
    const cap = new SeriesCap(60);
    const values = devices(40);
    const other = (rows: Record<string, number>): number =>
      valuesOf(cap.apply([packets(rows)]), PACKETS).get('(other)') ?? 0;
    const start = other(values);
    const { eth0: _, ...rest } = values;
    expect(other(rest), 'gone').toBe(start);
    expect(other({ ...rest, eth0: 1 }), 'a new one of that name').toBe(start + 1);
    expect(other({ ...rest, eth0: 4 })).toBe(start + 4);
    expect(other({ ...rest, eth0: 3 }), 'it began anew between two gathers').toBe(start + 4 + 3);
    expect(other({ eth39: 1 }), 'all are gone').toBe(start + 4 + 3);
  });

  test('takes what a row of the same name has that was there before', () => {
    const cap = new SeriesCap(60);
    // The kernel side folds devices, too, under the same label.
    const values = { ...devices(40), '(other)': 1_000_000 };
    const capped = cap.apply([packets(values)]);
    expect([...valuesOf(capped, PACKETS).keys()].filter((one) => one === '(other)')).toHaveLength(
      1,
    );
    expect(total(valuesOf(capped, PACKETS))).toBe(total(new Map(Object.entries(values))));
    const more = { ...values, '(other)': 1_000_010 };
    expect(total(valuesOf(cap.apply([packets(more)]), PACKETS))).toBe(
      total(new Map(Object.entries(more))),
    );
  });

  test('keeps the labels that are not folded, and the buckets, sum and native form', () => {
    const values: Record<string, number> = {};
    for (const device of Object.keys(devices(9))) {
      for (const protocol of ['tcp', 'udp']) values[`${device} ${protocol}`] = 5;
    }
    const families = [latency(values)];
    const capped = new SeriesCap(300).apply(families);
    const samples = histogramsOf(capped, LATENCY);
    for (const protocol of ['tcp', 'udp']) {
      const folded = samples.find(
        ({ labels }) => labels.device === '(other)' && labels.protocol === protocol,
      );
      const own = samples.filter(
        ({ labels }) => labels.device !== '(other)' && labels.protocol === protocol,
      );
      const count = 9 * 5 - own.length * 5;
      expect(folded?.count).toBe(count);
      expect(Array.from(folded?.classic.counts ?? []).reduce((a, b) => a + b)).toBe(count);
      expect(folded?.native?.counts[63]).toBe(count);
      expect(folded?.sum).toBeCloseTo(count * 1e-6, 12);
    }
  });
});

describe('the whole exposition', () => {
  test('a family without traffic yet is sure of its room', () => {
    const cap = new SeriesCap(400);
    const idle = latency(Object.fromEntries(Object.keys(devices(9)).map((d) => [`${d} tcp`, 0])));
    cap.apply([idle, packets(devices(400))]);
    const busy = latency(Object.fromEntries(Object.keys(devices(9)).map((d) => [`${d} tcp`, 3])));
    const capped = cap.apply([busy, packets(devices(400))]);
    const own = histogramsOf(capped, LATENCY).filter(({ labels }) => labels.device !== '(other)');
    expect(own.length).toBeGreaterThanOrEqual(4);
    expect(seriesIn(capped)).toBeLessThanOrEqual(400);
  });

  test('a family that is missing in a gather has its places when it is back', () => {
    const cap = new SeriesCap(400);
    const before = cap.apply([packets(devices(100)), latency({ 'eth0 tcp': 7 })]);
    const many = latency(Object.fromEntries(Object.keys(devices(60)).map((d) => [`${d} tcp`, 3])));
    cap.apply([many]);
    const after = cap.apply([packets(devices(100)), many]);
    expect(valuesOf(after, PACKETS)).toEqual(valuesOf(before, PACKETS));
    expect(seriesIn(after)).toBeLessThanOrEqual(400);
  });

  test('stays under the cap and loses no count, whatever comes and goes', () => {
    const gather = fc.dictionary(
      fc.constantFrom(...Object.keys(devices(60))),
      fc.nat({ max: 100_000 }),
      { maxKeys: 60 },
    );
    const gathers = fc.array(fc.tuple(gather, gather), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(gathers, fc.integer({ min: 200, max: 1_500 }), (sequence, seriesMax) => {
        const cap = new SeriesCap(seriesMax);
        const last = new Map<string, number>();
        for (const [scalars, histograms] of sequence) {
          const capped = cap.apply([
            packets(scalars),
            latency(
              Object.fromEntries(
                Object.entries(histograms).map(([device, n]) => [`${device} tcp`, n]),
              ),
            ),
            wide(50),
          ]);
          expect(seriesIn(capped)).toBeLessThanOrEqual(seriesMax);
          const rows = valuesOf(capped, PACKETS);
          expect(total(rows)).toBeGreaterThanOrEqual(total(new Map(Object.entries(scalars))));
          const other = rows.get('(other)') ?? 0;
          expect(other).toBeGreaterThanOrEqual(last.get('(other)') ?? 0);
          last.set('(other)', other);
          const keys = histogramsOf(capped, LATENCY).map(({ labels }) => JSON.stringify(labels));
          expect(new Set(keys).size).toBe(keys.length);
          const counts = histogramsOf(capped, LATENCY).reduce((sum, { count }) => sum + count, 0);
          expect(counts).toBeGreaterThanOrEqual(total(new Map(Object.entries(histograms))));
        }
      }),
      { numRuns: 200 },
    );
  });

  test('every share is at least what its "(other)" rows and one row of its own take', () => {
    for (const [name, { rows }] of Object.entries(SHARES)) {
      expect(rows, name).toBeGreaterThanOrEqual(2);
    }
  });
});

/** `eth0` the lowest of them, each of another value. */
function devices(count: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`eth${i}`, 100 + i]));
}

function counter(name: string, rows: readonly (readonly [Labels, number])[]): Family {
  const samples = rows.map(([labels, value]) => ({ labels, value }));
  return { type: 'counter', name, help: '', samples };
}

function packets(values: Readonly<Record<string, number>>): Family {
  return counter(
    PACKETS,
    Object.entries(values).map(([device, value]) => [{ device }, value]),
  );
}

/** A family that is never folded. */
function wide(rows: number): Family {
  return counter(
    'rxscope_of_its_own_total',
    Array.from({ length: rows }, (_, i) => [{ probe: String(i) }, 1]),
  );
}

/** By `<device> <protocol>`: so many observations of 1 µs. */
function latency(values: Readonly<Record<string, number>>): Family {
  const samples = Object.entries(values).map(([key, n]): HistogramSample => {
    const [device = '', protocol = ''] = key.split(' ');
    const h = emptyHistogram();
    h.counts[64] = n;
    return {
      labels: { device, protocol },
      sum: n * 1e-6,
      count: n,
      classic: toClassic(h),
      native: toNative(h),
    };
  });
  return { type: 'histogram', name: LATENCY, help: '', samples };
}

function familyOf(families: readonly Family[], name: string): Family {
  const family = families.find((one) => one.name === name);
  if (family === undefined) throw new Error(`no family ${name}`);
  return family;
}

/** By device. */
function valuesOf(families: readonly Family[], name: string): Map<string, number> {
  const family = familyOf(families, name);
  if (family.type === 'histogram') throw new Error(`${name} is a histogram`);
  const rows = family.samples.map(({ labels, value }): [string, number] => [
    labels.device ?? '',
    value,
  ]);
  expect(new Set(rows.map(([device]) => device)).size, 'no label set occurs twice').toBe(
    rows.length,
  );
  return new Map(rows);
}

function histogramsOf(families: readonly Family[], name: string): readonly HistogramSample[] {
  const family = familyOf(families, name);
  if (family.type !== 'histogram') throw new Error(`${name} is no histogram`);
  return family.samples;
}

function droppedOf(families: readonly Family[], name: string): number {
  const family = familyOf(families, DROPPED);
  if (family.type === 'histogram') throw new Error(`${DROPPED} is a histogram`);
  return family.samples.find(({ labels }) => labels.family === name)?.value ?? Number.NaN;
}

function total(rows: ReadonlyMap<string, number>): number {
  return [...rows.values()].reduce((sum, value) => sum + value, 0);
}

function seriesIn(families: readonly Family[]): number {
  return families.reduce(
    (sum, { samples }) => sum + [...samples].reduce((series, one) => series + seriesOf(one), 0),
    0,
  );
}
