// A child process of `npm run bench user`: the real server, encoders and families over a reading
// that is made up to have as many label sets as it is told, so that only their number changes.
// Usage: tsx scrape_server.ts LABEL_SETS. Prints its URL; ends when its standard input does.

import type { DeviceKey, Reading } from '../../src/capture/reading.ts';
import { PROTOCOLS } from '../../src/capture/slots.ts';
import { BUCKETS } from '../../src/histogram/bounds.ts';
import { emptyHistogram, type Histogram } from '../../src/histogram/histogram.ts';
import { packetFamilies } from '../../src/metrics/families.ts';
import { PROBES } from '../../src/probes/index.ts';
import { namePackets } from '../../src/readings/named_reading.ts';
import { buildApp } from '../../src/serve/app.ts';
import { listen } from '../../src/serve/listen.ts';

const CPUS = 2;
const PACKET_PROBES = ['softirq_to_socket', 'receive_to_socket'] as const;

const NAMES = { deviceLabel: (device: DeviceKey) => `eth${String(device)}`, irqLabel: () => '' };

const reading = readingOf(Number(process.argv[2]));
const app = buildApp(
  {
    version: '0.0.0',
    ready: () => true,
    probes: () => [],
    outliers: () => [],
    drops: () => [],
    gather: async () =>
      packetFamilies(namePackets(reading, NAMES, String), {
        probes: PROBES,
        budgets_ns: {},
        known: { devices: [], irqDevices: [] },
        exemplars: () => [],
        cpus: [],
      }),
  },
  { requestsInFlightMax: 40 },
);
process.stdout.write(`${await listen(app, '127.0.0.1:0')}\n`);
process.stdin.resume().once('end', () => app.close());

/** Each label set is a device and a protocol of one probe; each has a histogram of every CPU. */
function readingOf(labelSets: number): Reading {
  const sets = Array.from({ length: labelSets }, (_, i) => ({
    probe: PACKET_PROBES[i % 2] ?? 'receive_to_socket',
    protocol: PROTOCOLS[Math.floor(i / 2) % 3] ?? 'other',
    device: 1 + Math.floor(i / 6),
  }));
  const latencies = sets.flatMap((set, i) =>
    Array.from({ length: CPUS }, (_, cpu) => ({ ...set, cpu, histogram: histogramOf(i) })),
  );
  return {
    latencies,
    received: [],
    drops: [],
    transmitDrops: 0,
    polls: [],
    unmatched: {},
    deliveriesWithoutStart: 0,
    pending: 0,
    events: {},
  };
}

/** Five powers of two with a peak, as latencies of a few microseconds have: 40 filled buckets. */
function histogramOf(seed: number): Histogram {
  const histogram = emptyHistogram();
  const middle = BUCKETS / 4 + (seed % 7);
  for (let i = 0; i < BUCKETS; i++) {
    const distance = Math.abs(i - middle);
    if (distance < 20) histogram.counts[i] = Math.round(1e6 * Math.exp(-distance / 4)) + seed;
  }
  histogram.sumNs = 5e9 + seed;
  return histogram;
}
