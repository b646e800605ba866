// A host with many devices: what is made before the cap on series is no more than the cap can leave, and what is
// exported is the same as if everything had been made.

import { describe, expect, test } from 'vitest';
import type { DeviceKey, Reading } from '../../src/capture/reading.ts';
import { PROTOCOLS } from '../../src/capture/slots.ts';
import { dropFamilies } from '../../src/metrics/drop_families.ts';
import { packetFamilies } from '../../src/metrics/families.ts';
import type { Family } from '../../src/metrics/model.ts';
import { SeriesCap } from '../../src/metrics/series_cap.ts';
import { encodeText } from '../../src/metrics/text.ts';
import { PROBES } from '../../src/probes/index.ts';
import { namePackets } from '../../src/readings/named_reading.ts';
import { histogram, reading } from './readings.ts';

const SERIES_MAX = 2_000;
const PACKET_PROBES = PROBES.filter(({ by }) => by === 'device_protocol');

function names(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `veth${at}`);
}

/** The last `busy` of `devices` have received. */
function readingOf(devices: number, busy: number): Reading {
  const keys = Array.from({ length: busy }, (_, at) => devices - busy + at);
  return reading({
    received: keys.map((device) => ({ device, packets: 1_009 + device })),
    latencies: PACKET_PROBES.flatMap(({ id }) =>
      keys.flatMap((device) =>
        PROTOCOLS.map((protocol) => ({
          probe: id,
          device,
          protocol,
          histogram: histogram(101 + device),
        })),
      ),
    ),
  });
}

function familiesOf(devices: number, busy: number, seriesMax?: number): Family[] {
  const all = names(devices);
  const deviceLabel = (key: DeviceKey) => (typeof key === 'number' ? all[key] : '(other)');
  const limit = seriesMax === undefined ? {} : { seriesMax };
  const known = { devices: all, irqDevices: [], dropReasons: [] };
  const counted = namePackets(
    readingOf(devices, busy),
    { deviceLabel, irqLabel: () => '' },
    String,
  );
  return [
    ...packetFamilies(counted, {
      probes: PACKET_PROBES,
      budgets_ns: {},
      known,
      exemplars: () => [],
      cpus: [],
      ...limit,
    }),
    ...dropFamilies({ counted: true, packets: counted, known, host: undefined, ...limit }),
  ];
}

function exported(families: readonly Family[]): string {
  return Buffer.from(encodeText(new SeriesCap(SERIES_MAX).apply(families))).toString();
}

describe.each([
  [5, 0],
  [500, 0],
  [500, 7],
  [3_000, 150],
])('with %i devices, of which %i have received', (devices, busy) => {
  test('the same is exported as without a limit on what is made', () => {
    const limited = exported(familiesOf(devices, busy, SERIES_MAX));
    expect(limited).toBe(exported(familiesOf(devices, busy)));
    if (devices > 100) expect(limited).toContain('device="(other)"');
  });

  test('no family has more rows with 0 than the cap could leave', () => {
    for (const { name, samples } of familiesOf(devices, busy, SERIES_MAX)) {
      const zeros = samples.filter((one) => ('count' in one ? one.count : one.value) === 0);
      const isLatency = name.endsWith('_seconds');
      const ofEachProbe = name === 'rxscope_over_budget_total' ? PACKET_PROBES.length : 1;
      // Who has received may have no observation over budget.
      const most = (SERIES_MAX + 32 * (PROTOCOLS.length + 1) + busy) * ofEachProbe;
      expect(zeros.length * (isLatency ? 32 : 1), name).toBeLessThanOrEqual(most);
    }
  });
});
