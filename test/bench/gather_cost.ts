// What a gather costs in user space, from reading the counters to the text: of this machine by the real
// agent, and of a modelled one of 256 CPUs. Scraping over HTTP is in user_cost.ts.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Agent } from '../../src/agent/agent.ts';
import { checkSettings } from '../../src/config/schema.ts';
import { readTopology } from '../../src/host/topology.ts';
import type { Family } from '../../src/metrics/model.ts';
import { encodeText } from '../../src/metrics/text.ts';
import { CATALOGUE, PROBES } from '../../src/probes/index.ts';
import { WholeAgent, writeMachine } from '../metrics/whole_machine.ts';
import { simulatedKernel } from './simulated_kernel.ts';
import { formatSpread, markdownTable } from './statistics.ts';

export interface GatherCostOptions {
  /** Gathers of each kind. */
  readonly gathers: number;
}

/** Before the first that counts: V8 compiles what runs often. */
const WARM_UP_GATHERS = 20;
/** As Prometheus scrapes by default; what is read once a minute is read each fourth time. */
const SCRAPE_EACH_MS = 15_000;

export async function gatherCost(
  { gathers }: GatherCostOptions,
  progress: (line: string) => void,
): Promise<string> {
  const rows: string[][] = [];
  for (const everything of [false, true]) {
    progress(`this machine, ${everything ? 'everything on' : 'defaults'}`);
    const name = `this machine, ${everything ? 'everything on' : 'the defaults'}`;
    rows.push([name, ...(await ofThisMachine(everything, gathers))]);
  }
  progress('256 CPUs, 16 devices, 64 queues each, everything on');
  rows.push(['256 CPUs, 16 × 64 queues, everything on', ...(await ofManyCpus(gathers))]);
  const header = ['gather, ms', 'text, ms', 'series'];
  return markdownTable([`${gathers} gathers: median (quartiles)`, ...header], rows);
}

async function ofThisMachine(everything: boolean, gathers: number): Promise<string[]> {
  const probes = everything
    ? Object.fromEntries(CATALOGUE.map(({ id }) => [id, { enabled: true }]))
    : {};
  const checked = checkSettings({ probes });
  if (!('config' in checked)) throw new Error(checked.problems[0]?.message);
  const agent = new Agent(checked.config, pino({ level: 'silent' }));
  await agent.start();
  try {
    return await timed(gathers, async () => [
      ...(await agent.gather(new AbortController().signal)),
    ]);
  } finally {
    await agent.stop();
  }
}

async function ofManyCpus(gathers: number): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'rxscope-bench-'));
  try {
    const machine = writeMachine(folder);
    const ifindexes = new Map(machine.links.map(({ name, ifindex }) => [name, ifindex]));
    const topology = readTopology(machine.sources.roots);
    const cpus = (machine.possible.at(-1) ?? 0) + 1;
    const capture = simulatedKernel(topology, cpus, ifindexes);
    const read = () => {
      const reading = capture.read(false);
      if (reading === undefined) throw new Error('the maps of the simulated kernel are not there');
      return reading;
    };
    const agent = new WholeAgent(machine, PROBES, undefined, read);
    let nowMs = 0;
    try {
      return await timed(gathers, () => {
        nowMs += SCRAPE_EACH_MS;
        return agent.gather(0, nowMs);
      });
    } finally {
      capture.close();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function timed(gathers: number, gather: () => Promise<Family[]>): Promise<string[]> {
  const gatherMs: number[] = [];
  const textMs: number[] = [];
  let text: Uint8Array = new Uint8Array();
  for (let i = 0; i < WARM_UP_GATHERS + gathers; i++) {
    const startedMs = performance.now();
    const families = await gather();
    const gatheredMs = performance.now();
    text = encodeText(families);
    if (i < WARM_UP_GATHERS) continue;
    gatherMs.push(gatheredMs - startedMs);
    textMs.push(performance.now() - gatheredMs);
  }
  const lines = Buffer.from(text).toString().split('\n');
  const series = lines.filter((line) => line !== '' && !line.startsWith('#')).length;
  return [formatSpread(gatherMs, 1), formatSpread(textMs, 1), `${series}`];
}
