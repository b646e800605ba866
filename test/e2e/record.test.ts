// `rxscope record` under real packets, as a user runs it.

import { createSocket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test, vi } from 'vitest';
import type { ProbeRecord, RecordResult } from '../../src/commands/record/render.ts';
import { BUCKETS } from '../../src/histogram/bounds.ts';
import { Rxscope, runRxscope } from './agent_process.ts';
import { LATENCIES } from './catalogue.ts';
import { readsEvents } from './held_bpf.ts';
import { underTraffic } from './loopback.ts';
import { scratch } from './scratch.ts';

const files = scratch();
/** Discard, which nobody offers any more. */
const NOBODYS_PORT = 9;
const PACKET_PROBES = ['softirq_to_socket', 'receive_to_socket'];

function recordUnderTraffic(...args: readonly string[]) {
  return underTraffic(() => runRxscope(['record', ...args]));
}

function probeOf(result: RecordResult, id: string): ProbeRecord {
  const record = result.probes.find((probe) => probe.id === id);
  if (record === undefined) throw new Error(`no ${id} in ${JSON.stringify(result)}`);
  return record;
}

function expectOrdered(record: ProbeRecord): number[] {
  const quantiles = [0.5, 0.9, 0.99, 0.999].map((q) => record.quantiles_seconds[q] ?? Number.NaN);
  expect(quantiles).toEqual([...quantiles].sort((a, b) => a - b));
  for (const seconds of quantiles) {
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThan(16);
  }
  return quantiles;
}

describe('--json', () => {
  test('has counts, sums and quantiles in order for each packet probe', async () => {
    const { code, stdout, stderr } = await recordUnderTraffic('--duration', '1s', '--json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const result = JSON.parse(stdout) as RecordResult;
    expect(result.exact).toBe(false);
    expect(result.seconds).toBeGreaterThanOrEqual(0.99);
    expect(result.probes.map(({ id, up }) => [id, up])).toEqual(LATENCIES.map((id) => [id, true]));
    for (const { parts = [], count } of result.probes)
      expect(parts.reduce((sum, part) => sum + part.count, 0)).toBe(count);
    const labels = { device: 'lo', protocol: 'udp' };
    const loopback = probeOf(result, 'receive_to_socket').parts?.find(
      (part) => JSON.stringify(part.labels) === JSON.stringify(labels),
    );
    expect(loopback?.count).toBeGreaterThan(1009);
    for (const n of Object.values(result.drops ?? { none: 0 })) expect(n).toBeGreaterThan(0);
    for (const id of PACKET_PROBES) {
      const record = probeOf(result, id);
      expect(record).toMatchObject({ up: true, reason: '' });
      expect(record.count).toBeGreaterThan(1009);
      expect(record.buckets).toHaveLength(BUCKETS);
      expect(record.buckets.reduce((sum, n) => sum + n, 0)).toBe(record.count);
      expect(record.sum_seconds).toBeGreaterThan(0);
      expectOrdered(record);
      const unmatched = Object.values(record.unmatched).reduce((sum, n) => sum + n, 0);
      const known = record.count + unmatched + result.pending;
      // Packets go on arriving while the counters are read, one after the other.
      expect(Math.abs(known / result.received - 1)).toBeLessThan(0.01);
    }
  });

  test('--exact: the same from every observation, with the longest', async () => {
    const { code, stdout } = await recordUnderTraffic('--duration', '1s', '--json', '--exact');
    expect(code).toBe(0);
    const result = JSON.parse(stdout) as RecordResult;
    expect(result.exact).toBe(true);
    for (const id of PACKET_PROBES) {
      const record = probeOf(result, id);
      expect(record.count).toBeGreaterThan(1009);
      const quantiles = expectOrdered(record);
      expect(record.max_seconds).toBeGreaterThanOrEqual(quantiles.at(-1) ?? Number.NaN);
      expect(record.observations_lost).toBeGreaterThanOrEqual(0);
    }
  });

  test('--probe measures this one only', async () => {
    const args = ['--duration', '200ms', '--json', '--probe', 'receive_to_socket'];
    const { code, stdout } = await recordUnderTraffic(...args);
    expect(code).toBe(0);
    const result = JSON.parse(stdout) as RecordResult;
    expect(result.probes.map(({ id }) => id)).toEqual(['receive_to_socket']);
    expect(result).not.toHaveProperty('drops');
  });

  test('--probe drops counts what is thrown away, and measures no latency', async () => {
    const record = runRxscope(['record', '--duration', '2s', '--json', '--probe', 'drops']);
    const socket = createSocket('udp4');
    const done = record.then(() => true);
    // Nobody listens there: one each 20 ms until the measurement has ended.
    do socket.send('dropped', NOBODYS_PORT, '127.0.0.1');
    while ((await Promise.race([done, sleep(20)])) !== true);
    socket.close();
    const { code, stdout, stderr } = await record;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const result = JSON.parse(stdout) as RecordResult;
    expect(result.probes).toEqual([]);
    expect(result.drops?.NO_SOCKET).toBeGreaterThan(11);
  });

  test('nothing is over a budget of 16 s, though packets flow while the probes are attached', async () => {
    // Programs that run before they have their budgets would count every packet as over it.
    const lax = PACKET_PROBES.map((id) => `${id}: { budget: 16s }`).join(', ');
    const file = files.write('lax.yaml', `probes: { ${lax} }\n`);
    const args = ['--duration', '200ms', '--json', '--config.file', file];
    const { stdout } = await recordUnderTraffic(...args);
    const result = JSON.parse(stdout) as RecordResult;
    for (const id of PACKET_PROBES) {
      const { count, over_budget } = probeOf(result, id);
      expect(count).toBeGreaterThan(101);
      expect(over_budget).toBe(0);
    }
  });
});

describe('as a table', () => {
  test('has a histogram and quantiles for each probe, without escape sequences in a pipe', async () => {
    const { code, stdout } = await recordUnderTraffic('--duration', '500ms');
    expect(code).toBe(0);
    expect(stripVTControlCharacters(stdout)).toBe(stdout);
    expect(stdout).toMatch(/^\d+ packets received in 0\.5 s; quantiles within 9\.1 %\n/);
    for (const id of PACKET_PROBES) {
      const section = stdout.split(`\n${id}\n`)[1]?.split('\n\n')[0] ?? '';
      expect(section).toMatch(/p50 [\d.]+ [nµm]?s {3}p90 [\d.]+ [nµm]?s {3}p99 .* mean /);
      expect(section).toMatch(/^ {2}\d+ observations, \d+ over budget$/m);
      expect(section).toMatch(/^ +[\d.]+ [nµm]?s … [\d.]+ [nµm]?s │█+ +\d+$/m);
    }
  });

  test('has no escape sequences in a pipe on a CI machine either', async () => {
    const env = { CI: 'true' };
    const { stdout } = await runRxscope(['record', '--duration', '100ms'], undefined, env);
    expect(stripVTControlCharacters(stdout)).toBe(stdout);
  });

  test('--exact says so and shows the longest', async () => {
    const { stdout } = await recordUnderTraffic('--duration', '500ms', '--exact');
    expect(stdout).toMatch(/; quantiles from every observation\n/);
    expect(stdout).toMatch(/ max [\d.]+ [nµm]?s {3}mean /);
  });
});

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s ends it early, and what was measured is printed',
  async (signal) => {
    const record = new Rxscope(['record', '--duration', '60s', '--json']);
    await vi.waitFor(() => expect(readsEvents(record.pid)).toBe(true), {
      timeout: 20_000,
      interval: 50,
    });
    const { code, stdout } = await underTraffic(() => {
      record.child.kill(signal);
      return record.ended;
    });
    expect(code).toBe(0);
    const { seconds, probes } = JSON.parse(stdout) as RecordResult;
    expect(seconds).toBeLessThan(30);
    expect(probes.every(({ up }) => up)).toBe(true);
  },
);
