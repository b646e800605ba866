// How many series a host has in each form, by size of the machine and probes: what grafana/SCALE.md says.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Family } from '../../src/metrics/model.ts';
import { encodeText } from '../../src/metrics/text.ts';
import { PROBES } from '../../src/probes/index.ts';
import { scratch } from '../e2e/scratch.ts';
import { WholeAgent, writeMachine } from '../metrics/whole_machine.ts';
import { textOf } from '../repo/project_files.ts';

const ORDINARY = { cpus: 8, devices: 1, queues: 8, offline: [] };
const ON_BY_DEFAULT = PROBES.filter(({ enabled }) => enabled);
const { folder } = scratch();

test.each([
  { title: '8 CPUs, a card of 8 queues: default probes', machine: ORDINARY, probes: ON_BY_DEFAULT },
  { title: 'the same: all probes, `series_max: 2500`', machine: ORDINARY, probes: PROBES },
  { title: '256 CPUs, 16 cards: default probes', machine: {}, probes: ON_BY_DEFAULT },
])('$title', async ({ title, machine, probes }) => {
  const written = writeMachine(join(folder, title.replaceAll(/\W/g, '')), machine);
  const agent = new WholeAgent(written, probes, probes === PROBES ? 2_500 : 2_000);
  await agent.gather(0);
  const families = await agent.gather(1_009);
  const classic = Buffer.from(encodeText(families)).toString().match(/^[^#]/gm)?.length ?? 0;
  const native = families.reduce((sum, family) => sum + nativeSeries(family), 0);
  console.log(`| ${title} | ${native} | ${classic} |`);
  expect(native).toBeLessThan(classic);
  // Within a tenth: protocol counters differ from kernel to kernel.
  const [, statedNative, statedClassic] =
    textOf('grafana/SCALE.md')
      .split('\n')
      .find((line) => line.startsWith(`| ${title} |`))
      ?.match(/\| ([\d,]+) \| ([\d,]+) \|$/) ?? [];
  expect(near(native, statedNative), `${native} native`).toBe(true);
  expect(near(classic, statedClassic), `${classic} classic`).toBe(true);
});

/** A histogram that has no native form keeps its buckets. */
function nativeSeries(family: Family): number {
  if (family.type !== 'histogram') return family.samples.length;
  return family.samples.reduce((sum, { native, classic }) => {
    return sum + (native === undefined ? classic.counts.length + 2 : 1);
  }, 0);
}

function near(found: number, stated = ''): boolean {
  return Math.abs(found / Number(stated.replace(',', '')) - 1) < 0.1;
}
