// The agent's own metrics, from the real prom-client in this very process.

import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import type { Family, HistogramSample } from '../../src/metrics/model.ts';
import { processFamilies } from '../../src/metrics/process.ts';

async function familyNamed(name: string): Promise<Family | undefined> {
  return (await processFamilies()).find((family) => family.name === name);
}

test('names every counter _total and nothing else', async () => {
  const families = await processFamilies();
  expect(families.length).toBeGreaterThan(15);
  for (const { name, type } of families) {
    expect(name.endsWith('_total'), name).toBe(type === 'counter');
  }
});

test('tells the process: CPU, memory, start, descriptors, version', async () => {
  const cpu = await familyNamed('process_cpu_seconds_total');
  expect(cpu?.type).toBe('counter');
  expect(cpu?.samples[0]).toMatchObject({ labels: {}, value: expect.any(Number) });
  const memory = await familyNamed('process_resident_memory_bytes');
  expect(memory?.samples[0]).toMatchObject({ value: expect.any(Number) });
  const version = await familyNamed('nodejs_version_info');
  // prom-client has numbers here; labels are text.
  expect(version?.samples[0]?.labels).toMatchObject({
    version: process.version,
    major: process.versions.node.split('.')[0],
  });
});

test('counts garbage collections in a histogram whose buckets add up', async () => {
  await processFamilies();
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const deadline = performance.now() + 10_000;
  let major: HistogramSample | undefined;
  do {
    collectGarbage();
    // The observer is told after the collection, in a task of its own.
    await sleep(5);
    const family = await familyNamed('nodejs_gc_duration_seconds');
    if (family?.type !== 'histogram') throw new Error('no histogram of garbage collections');
    major = family.samples.find((sample) => sample.labels.kind === 'major');
  } while (major === undefined && performance.now() < deadline);

  if (major === undefined) throw new Error('no major collection was counted');
  expect(Object.keys(major.labels)).toEqual(['kind']);
  expect(major.count).toBeGreaterThan(0);
  expect(major.sum).toBeGreaterThan(0);
  expect(major.native).toBeUndefined();
  expect(major.classic.bounds).toEqual([0.001, 0.01, 0.1, 1, 2, 5]);
  expect(Array.from(major.classic.counts)).toHaveLength(7);
  expect(Array.from(major.classic.counts).reduce((a, b) => a + b)).toBe(major.count);
});

test('leaves out what would need a timer between scrapes', async () => {
  const names = (await processFamilies()).map((family) => family.name);
  expect(names).toContain('nodejs_eventloop_lag_seconds');
  expect(names.filter((name) => name.startsWith('nodejs_eventloop_lag_'))).toHaveLength(1);
});

test('reads anew at each call', async () => {
  const before = await familyNamed('process_cpu_user_seconds_total');
  const start = process.cpuUsage().user;
  while (process.cpuUsage().user - start < 20_000) Math.random();
  const after = await familyNamed('process_cpu_user_seconds_total');
  const [a, b] = [before, after].map((family) =>
    family?.type === 'counter' ? (family.samples[0]?.value ?? 0) : 0,
  );
  expect((b ?? 0) - (a ?? 0)).toBeGreaterThanOrEqual(0.02);
});
