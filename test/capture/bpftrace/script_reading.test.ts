// What the maps of the probe scripts mean: from output that bpftrace really printed, and from maps
// made up for what a quiet machine does not show.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseOutput } from '../../../src/capture/bpftrace/output.ts';
import { readScript, stateMaps } from '../../../src/capture/bpftrace/script_reading.ts';
import { Tallies } from '../../../src/capture/bpftrace/tally.ts';
import { COARSE_BOUNDS, coarseCount } from '../../../src/histogram/coarse_histogram.ts';

function add(tallies: Tallies, text: string): void {
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    for (const output of parseOutput(line)) tallies.add(output);
  }
}

function read(probe: string, text: string) {
  const tallies = new Tallies();
  add(tallies, text);
  return readScript(probe, tallies.sum());
}

/** The whole run: printed once in the middle and once at the end, which replaces it. */
function recorded(probe: string): string {
  return readFileSync(new URL(`./fixtures/${probe}.0.17.jsonl`, import.meta.url), 'utf8');
}

describe('a recorded run', () => {
  test.each(['softirq_to_socket', 'receive_to_socket'])(
    'of %s: 202 datagrams are observed and the books balance',
    (probe) => {
      const { latencies, received, unmatched } = read(probe, recorded(probe));
      expect(latencies).toHaveLength(1);
      const [{ device, protocol, histogram } = { histogram: undefined }] = latencies;
      expect({ device, protocol }).toEqual({ device: { name: 'lo' }, protocol: 'udp' });
      const observed = histogram === undefined ? 0 : coarseCount(histogram);
      expect(observed).toBe(202);
      const all = received.reduce((sum, { packets }) => sum + packets, 0);
      const lost = Object.values(unmatched).reduce((sum, n) => sum + n, 0);
      expect(all).toBe(observed + lost);
    },
  );

  test('of irq_to_softirq has a latency for each of the two interrupts', () => {
    const { latencies, unmatched } = read('irq_to_softirq', recorded('irq_to_softirq'));
    expect(latencies.map(({ irq }) => irq).sort()).toEqual([38, 39]);
    expect(unmatched).toEqual({ already_raised: 0, clock: 0, table_full: 0 });
    for (const { histogram } of latencies) {
      const mean = histogram.sumNs / coarseCount(histogram);
      expect(mean).toBeGreaterThan(500);
      expect(mean).toBeLessThan(100_000);
    }
  });
});

test('a bucket of bpftrace lands under the power of two that bounds it', () => {
  const { latencies } = read(
    'irq_to_softirq',
    `{"type": "hist", "data": {"@irq_to_softirq_ns": {"7": [
      {"min": 0, "max": 0, "count": 2}, {"min": 64, "max": 127, "count": 3},
      {"min": 1073741824, "max": 2147483647, "count": 5}]}}}
     {"type": "map", "data": {"@over_2s": {"7": 11}}}`.replaceAll('\n      ', ''),
  );
  const counts = latencies[0]?.histogram.counts ?? new Float64Array();
  const filled = [...COARSE_BOUNDS, Infinity].flatMap((bound, i) =>
    (counts[i] ?? 0) > 0 ? [[bound, counts[i]]] : [],
  );
  expect(filled).toEqual([
    [64 / 1e9, 2],
    [128 / 1e9, 3],
    [2 ** 31 / 1e9, 5],
    [Infinity, 11],
  ]);
});

test('a device name may have commas; another namespace is told from the own', () => {
  const { received } = read(
    'receive_to_socket',
    '{"type": "map", "data": {"@received": {"a,b,0": 3, "eth0,1": 5, "eth0,0": 7}}}',
  );
  expect(received).toEqual([
    { device: { name: 'a,b' }, packets: 3 },
    { device: 'other_netns', packets: 5 },
    { device: { name: 'eth0' }, packets: 7 },
  ]);
});

test('what found no place in the bounded maps is counted, not hidden', () => {
  const { received, unmatched } = read(
    'receive_to_socket',
    `{"type": "map", "data": {"@all_observed": 13}}
     {"type": "map", "data": {"@all_received": 17}}
     {"type": "map", "data": {"@received": {"lo,0": 11}}}
     {"type": "hist", "data": {"@receive_to_socket_ns": {"lo,0,6": [{"min": 512, "max": 1023, "count": 11}]}}}`,
  );
  expect(unmatched.table_full).toBe(2);
  expect(received).toEqual([
    { device: { name: 'lo' }, packets: 11 },
    { device: 'overflow', packets: 6 },
  ]);
});

test('packets under way are pending while the script runs, and no counts after it', () => {
  const tallies = new Tallies();
  const slots = '{"type": "map", "data": {"@received_at": {"0": 0, "1": 12345}}}';
  add(tallies, `${slots}\n{"type": "map", "data": {"@not_queued": 5}}`);
  expect(readScript('receive_to_socket', tallies.sum()).pending).toBe(1);
  tallies.endRun(stateMaps('receive_to_socket'));
  const after = readScript('receive_to_socket', tallies.sum());
  expect([after.pending, after.unmatched.not_queued]).toEqual([0, 5]);
});

test('a script that starts anew adds to what its earlier runs counted', () => {
  const tallies = new Tallies();
  let seen = 0;
  for (const run of [1, 2, 3]) {
    add(tallies, recorded('receive_to_socket'));
    const { latencies, received } = readScript('receive_to_socket', tallies.sum());
    const [latency] = latencies;
    const observed = latency === undefined ? 0 : coarseCount(latency.histogram);
    expect(observed).toBe(202 * run);
    expect(latency?.histogram.sumNs).toBeGreaterThan(seen);
    seen = latency?.histogram.sumNs ?? 0;
    expect(received.find(({ device }) => device !== 'overflow')).toBeDefined();
    tallies.endRun(stateMaps('receive_to_socket'));
    const kept = readScript('receive_to_socket', tallies.sum()).latencies[0];
    expect(kept?.histogram.sumNs).toBe(seen);
  }
});
