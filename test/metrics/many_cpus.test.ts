// The whole exposition of machines of two sizes, from generated /proc and /sys: how many series it has,
// and that nothing is lost on the way.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Family, Labels } from '../../src/metrics/model.ts';
import { keyOf, type Sample, seriesOf, weightOf } from '../../src/metrics/samples.ts';
import { encodeText } from '../../src/metrics/text.ts';
import { PROBES } from '../../src/probes/index.ts';
import { type ManyCpusOptions, writeManyCpusCounters } from '../host/many_cpus.ts';
import { WholeAgent, type WholeMachine, writeMachine } from './whole_machine.ts';

const ORDINARY = { cpus: 8, devices: 1, queues: 8, offline: [] };
/** 256 CPUs with a hole in their numbers and six of them offline, 16 devices of 64 queues. */
const LARGE: ManyCpusOptions = {};
const ON_BY_DEFAULT = PROBES.filter(({ enabled }) => enabled);

let folder: string;
let ordinary: WholeMachine;
let large: WholeMachine;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rxscope-many-'));
  ordinary = writeMachine(join(folder, 'ordinary'), ORDINARY);
  large = writeMachine(join(folder, 'large'), LARGE);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('8 CPUs, loopback and one card of 8 queues', () => {
  test('with the probes that are on by default, nothing is folded', async () => {
    const agent = new WholeAgent(ordinary, ON_BY_DEFAULT);
    for (const packets of [0, 1_009]) {
      const all = await agent.uncapped(packets);
      const capped = agent.capped(all);
      expect(agent.failed).toEqual([]);
      expect(capped.slice(0, -1)).toEqual(all.families);
      expect(dropped(capped)).toEqual([]);
      expect(lines(capped)).toBeLessThanOrEqual(2_000);
    }
  });

  test('with everything on, only vectors other than NET_RX are', async () => {
    const agent = new WholeAgent(ordinary);
    await agent.gather(0);
    const capped = await agent.gather(1_009);
    expect(lines(capped)).toBeLessThanOrEqual(2_000);
    expect(dropped(capped).toSorted()).toEqual([
      'rxscope_softirq_duration_seconds',
      'rxscope_softirq_raise_to_entry_seconds',
    ]);
    for (const name of dropped(capped)) {
      expect(familyOf(capped, name).samples.map(({ labels }) => labels.vector)).toContain('NET_RX');
    }
  });

  test('with everything on and 2,500 series, nothing is', async () => {
    const agent = new WholeAgent(ordinary, PROBES, 2_500);
    await agent.gather(0);
    expect(dropped(await agent.gather(1_009))).toEqual([]);
  });
});

describe('256 CPUs, 16 cards of 64 queues', () => {
  test('at most 2,000 series, before and after traffic, everything on or not', async () => {
    for (const probes of [ON_BY_DEFAULT, PROBES]) {
      const agent = new WholeAgent(large, probes);
      for (const packets of [0, 1_009, 2_003]) {
        expect(lines(await agent.gather(packets))).toBeLessThanOrEqual(2_000);
        expect(agent.failed).toEqual([]);
      }
    }
  });

  test('at most what series_max says, and more of it is used', async () => {
    for (const seriesMax of [1_200, 5_000]) {
      const agent = new WholeAgent(large, PROBES, seriesMax);
      await agent.gather(0);
      const series = lines(await agent.gather(1_009));
      expect(series).toBeLessThanOrEqual(seriesMax);
      expect(series).toBeGreaterThan(0.9 * seriesMax);
    }
  });

  test('what is folded adds up to what there is, for each label that is kept', async () => {
    const agent = new WholeAgent(large);
    const all = await agent.uncapped(1_009);
    const capped = agent.capped(all);
    const counters = all.families.filter(({ type }) => type !== 'gauge');
    expect(dropped(capped).length).toBeGreaterThan(10);
    for (const family of counters) {
      expect(sums(familyOf(capped, family.name)), family.name).toEqual(sums(family));
    }
  });

  test('every family keeps its busiest rows, and the probes of the mission a device', async () => {
    const agent = new WholeAgent(large);
    await agent.gather(0);
    const capped = await agent.gather(1_009);
    for (const probe of ['irq_to_softirq', 'softirq_to_socket', 'receive_to_socket']) {
      const { samples } = familyOf(capped, `rxscope_${probe}_seconds`);
      const own = samples.filter(({ labels }) => labels.device !== '(other)');
      expect(own.length, probe).toBeGreaterThanOrEqual(1);
    }
  });

  test('the CPUs shown are the same in every family, those with most NET_RX', async () => {
    const capped = await new WholeAgent(large).gather(0);
    const shown = (name: string): Set<string> =>
      new Set(familyOf(capped, name).samples.map(({ labels }) => labels.cpu ?? ''));
    const cpus = shown('rxscope_softnet_processed_total');
    expect(cpus.size).toBe(17);
    for (const name of ['rxscope_softirqs_total', 'rxscope_cpu_seconds_total']) {
      expect(shown(name)).toEqual(cpus);
    }
  });

  test('labels stay the same and no counter falls when CPUs, cards and traffic come and go', async () => {
    const agent = new WholeAgent(large);
    await agent.gather(0);
    const first = await agent.gather(1_009);
    writeManyCpusCounters(join(folder, 'large'), { ...LARGE, offline: [0, 1, 2, 255], step: 1 });
    const second = await agent.gather(2_003);
    expect(fallen(first, second)).toEqual([]);
    const links = large.links;
    large.links = links.filter(({ name }) => name !== 'eth3');
    const without = await agent.gather(3_001);
    const isOfEth3 = ({ device }: Labels): boolean => device === 'eth3';
    expect(fallen(second, without).filter(({ labels }) => !isOfEth3(labels))).toEqual([]);
    large.links = links;
    const third = await agent.gather(4_001);
    expect(fallen(without, third)).toEqual([]);
    expect(lines(third)).toBeLessThanOrEqual(2_000);
    writeManyCpusCounters(join(folder, 'large'), LARGE);
  });
});

function lines(families: readonly Family[]): number {
  const text = Buffer.from(encodeText(families)).toString();
  const count = text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length;
  const series = families.flatMap(({ samples }) => [...samples]).map(seriesOf);
  expect(count, 'a series is a line').toBe(series.reduce((sum, n) => sum + n, 0));
  return count;
}

function familyOf(families: readonly Family[], name: string): Family {
  const family = families.find((one) => one.name === name);
  if (family === undefined) throw new Error(`no family ${name}`);
  return family;
}

/** Families of which something was folded or left out. */
function dropped(families: readonly Family[]): string[] {
  const family = familyOf(families, 'rxscope_series_dropped_total');
  return [...family.samples].flatMap((sample: Sample) =>
    weightOf(sample) > 0 ? [sample.labels.family ?? ''] : [],
  );
}

/** By the label that is never folded, if there is one: the sum of the values or observations. */
function sums({ samples }: Family): Record<string, number> {
  const found: Record<string, number> = {};
  for (const sample of [...samples] as Sample[]) {
    const { probe, protocol, counter, statistic, reason, where } = sample.labels;
    const kept = [probe, protocol, counter, statistic, reason, where].join(' ');
    found[kept] = (found[kept] ?? 0) + weightOf(sample);
  }
  return found;
}

/** Label sets of counters and histograms that count less than before, or are gone. */
function fallen(
  before: readonly Family[],
  after: readonly Family[],
): { name: string; labels: Labels; from: number; to: number | undefined }[] {
  const weights = new Map<string, number>();
  for (const { name, samples } of after) {
    for (const sample of [...samples] as Sample[]) {
      weights.set(`${name} ${keyOf(sample.labels)}`, weightOf(sample));
    }
  }
  return before
    .filter(({ type, name }) => type !== 'gauge' && name.startsWith('rxscope_'))
    .flatMap(({ name, samples }) =>
      ([...samples] as Sample[]).flatMap((sample) => {
        const from = weightOf(sample);
        const to = weights.get(`${name} ${keyOf(sample.labels)}`);
        const stands = from === 0 || (to !== undefined && to >= from);
        return stands ? [] : [{ name, labels: sample.labels, from, to }];
      }),
    );
}
