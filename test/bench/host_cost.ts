// rxscope beside the tools that one would use without it, over the same seconds: softirqs and hardirqs
// of libbpf-tools, whose programs are attached at the same time as rxscope's, and Prometheus'
// node_exporter, scraped as often. What each counted, and what it cost.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadAddon } from '../../src/addon/addon.ts';
import { captureOptions } from '../../src/agent/capture_options.ts';
import { openKernelCapture } from '../../src/capture/kernel_capture.ts';
import { effectiveConfig } from '../../src/config/load.ts';
import { CATALOGUE, PROBES } from '../../src/probes/index.ts';
import { type Counts, PAIRS, rise } from '../e2e/beside.ts';
import { Numbers } from '../e2e/numbers.ts';
import { CORRESPONDING, IrqTool, NodeExporter } from '../e2e/others.ts';
import { Lab, RECEIVER, run } from '../kernel/lab.ts';
import { parseText } from '../metrics/decode.ts';
import type { ProgramCost } from './kernel_cost.ts';
import { processCpuMs, residentMb } from './machine.ts';
import { type Scrape, scrape } from './scraper.ts';
import { formatSpread, markdownTable } from './statistics.ts';
import { startAgent } from './user_cost.ts';

export interface HostCostOptions {
  readonly rounds: number;
  /** Packets of a round. */
  readonly packets: number;
  /** Scrapes of each server that are counted. */
  readonly scrapes: number;
}

const DURATIONS = ['hardirq_duration', 'softirq_duration'];
const PORT = 7003;
const BUFFER_BYTES = 1 << 29;
const BLOCK = 16_384;
/** Each raises an interrupt of the disk. */
const BLOCKS = 10_007;
/** Before the first scrape that is counted: as after some minutes under Prometheus. */
const WARM_UP_SCRAPES = 100;

/** Returns the tables as Markdown. `progress` hears of each round. */
export async function hostCost(
  options: HostCostOptions,
  progress: (line: string) => void,
): Promise<string> {
  const lab = new Lab();
  const folder = mkdtempSync('/var/tmp/rxscope-bench-');
  try {
    const work = new Work(lab, folder, options.packets);
    return [
      await handlerTable(work, options, progress),
      await countTable(work, folder, progress),
      await scrapeTable(folder, options, progress),
      await turnTable(folder, progress),
    ].join('\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
    lab.close();
  }
}

/** What is measured: packets over veth, one a softirq, and reads past the page cache. */
class Work {
  readonly #lab: Lab;
  readonly #file: string;
  readonly #packets: number;

  constructor(lab: Lab, folder: string, packets: number) {
    this.#lab = lab;
    this.#packets = packets;
    this.#file = join(folder, 'blocks');
    writeFileSync(this.#file, Buffer.alloc(BLOCK * BLOCKS, 1), { flush: true });
  }

  async do(): Promise<void> {
    const options = { cpu: 1, buffer: BUFFER_BYTES };
    const receiver = this.#lab.receive('udp', RECEIVER, PORT, this.#packets, options);
    await receiver.ready;
    await this.#lab.send('udp', RECEIVER, PORT, this.#packets, { cpu: 0 });
    await receiver.result;
    const from = [`if=${this.#file}`, 'of=/dev/null', `bs=${BLOCK}`, 'iflag=direct'];
    execFileSync('dd', [...from, 'status=none']);
  }
}

// ---- programs in the kernel ----------------------------------------------------------------------

/** One handler's programs: nanoseconds, and how often the handler ran. */
interface HandlerCost {
  readonly ns: number;
  readonly runs: number;
}

const HANDLERS = ['softirq', 'irq_handler'] as const;
type Handler = (typeof HANDLERS)[number];
type Costs = Readonly<Record<Handler, HandlerCost>>;

async function handlerTable(
  work: Work,
  { rounds }: HostCostOptions,
  progress: (line: string) => void,
): Promise<string> {
  const statistics = loadAddon().enableStats();
  const capture = openKernelCapture(loadAddon(), {
    ...captureOptions(effectiveConfig(), false),
    probes: DURATIONS,
  });
  const tools = [await IrqTool.start('softirqs'), await IrqTool.start('hardirqs')];
  try {
    const ids = tools.flatMap(({ programs }) => [...programs]);
    const ours: Costs[] = [];
    const theirs: Costs[] = [];
    for (let i = 0; i <= rounds; i++) {
      const before = [capture.programStats(), loadedPrograms(ids)] as const;
      await work.do();
      const after = [capture.programStats(), loadedPrograms(ids)] as const;
      progress(`handlers: round ${i} of ${rounds}`);
      // The first round warms the caches and is not counted.
      if (i === 0) continue;
      ours.push(costsBetween(before[0], after[0]));
      theirs.push(costsBetween(before[1], after[1]));
    }
    const row = (name: string, tool: string, handler: Handler): string[] => {
      const each = (all: readonly Costs[]): number[] =>
        all.map(({ [handler]: { ns, runs } }) => ns / runs);
      const [mine, others] = [each(ours), each(theirs)];
      return [
        `${name}, beside \`${tool} -d\``,
        formatSpread(mine, 0),
        formatSpread(others, 0),
        formatSpread(
          mine.map((ns, i) => ns / (others[i] ?? Number.NaN)),
          3,
        ),
        formatSpread(
          ours.map((one) => one[handler].runs),
          0,
        ),
        formatSpread(
          theirs.map((one) => one[handler].runs),
          0,
        ),
      ];
    };
    return markdownTable(
      ['ns: median (quartiles)', 'rxscope', 'the tool', 'ratio', 'rxscope counted', 'the tool did'],
      [
        row('a softirq', 'softirqs', 'softirq'),
        row("a device's interrupt", 'hardirqs', 'irq_handler'),
      ],
    );
  } finally {
    for (const tool of tools) await tool.stop();
    capture.close();
    statistics.close();
  }
}

interface ProgramStats extends ProgramCost {
  readonly program: string;
}

function loadedPrograms(ids: readonly number[]): ProgramStats[] {
  const all = JSON.parse(run('bpftool', 'prog', 'show', '-j')) as {
    readonly id: number;
    readonly name?: string;
    readonly run_time_ns?: number;
    readonly run_cnt?: number;
  }[];
  return all
    .filter(({ id }) => ids.includes(id))
    .map(({ name = '', run_time_ns = 0, run_cnt = 0 }) => ({
      program: name,
      runTimeNs: run_time_ns,
      runs: run_cnt,
    }));
}

/** Entry and exit of a handler together. */
function costsBetween(before: readonly ProgramStats[], after: readonly ProgramStats[]): Costs {
  const costOf = (handler: Handler): HandlerCost => {
    let ns = 0;
    let runs = 0;
    for (const { program, ...now } of after) {
      if (!new RegExp(`^${handler}_(entry|exit)`).test(program)) continue;
      const then = before.find((one) => one.program === program);
      ns += now.runTimeNs - (then?.runTimeNs ?? 0);
      if (program.startsWith(`${handler}_exit`)) runs += now.runs - (then?.runs ?? 0);
    }
    return { ns, runs };
  };
  return { softirq: costOf('softirq'), irq_handler: costOf('irq_handler') };
}

// ---- what was counted ----------------------------------------------------------------------------

/** What is more than this has a row. */
const COUNT_MIN = 100;

async function countTable(
  work: Work,
  folder: string,
  progress: (line: string) => void,
): Promise<string> {
  progress('counts');
  const agent = await startAgent(['--config.file', durations(folder)]);
  const exporter = await NodeExporter.start(CORRESPONDING);
  try {
    const own = async (): Promise<Numbers> => {
      const { body } = await scrape(agent.url, agent.pid, 'text', false);
      return new Numbers(parseText(body, 'text').series);
    };
    const outer = await exporter.numbers();
    const before = await own();
    const inner = { before: await exporter.numbers(), after: await afterWork(work, exporter) };
    const ours = { before, after: await own() };
    const around = { before: outer, after: await exporter.numbers() };
    const rows = PAIRS.flatMap(({ what, of, as }) => {
      const [mine, least, most] = [rise(ours, of), rise(inner, as), rise(around, as)];
      return [...mine]
        .filter(([, n]) => n > COUNT_MIN)
        .map(([key, n]) => [
          `${what}${key === '' ? '' : `: ${key}`}`,
          `${n}`,
          `${least.get(key)} to ${most.get(key)}`,
          agree(key, n, least, most),
        ]);
    });
    return markdownTable(
      ['counted over the same work', 'rxscope', 'node_exporter just inside and around', 'agree'],
      rows,
    );
  } finally {
    await exporter.stop();
    await agent.stop();
  }
}

function agree(key: string, n: number, least: Counts, most: Counts): string {
  return n >= (least.get(key) ?? Infinity) && n <= (most.get(key) ?? -1) ? 'yes' : 'NO';
}

async function afterWork(work: Work, exporter: NodeExporter): Promise<Numbers> {
  await work.do();
  return exporter.numbers();
}

// ---- scrapes -------------------------------------------------------------------------------------

/** No latency is over it: what other work on the machine makes of outliers is no cost of a scrape. */
const BUDGET = 'budget: 10s';

/** A configuration in which these are measured, beside the host's counters, and nothing else. */
function configuration(folder: string, name: string, ids: readonly string[]): string {
  const file = join(folder, `${name}.yaml`);
  const probes = CATALOGUE.map(({ id }) => {
    const budget = PROBES.some((probe) => probe.id === id) ? `, ${BUDGET}` : '';
    return `  ${id}: { enabled: ${ids.includes(id)}${budget} }\n`;
  });
  writeFileSync(file, `probes:\n${probes.join('')}`);
  return file;
}

function durations(folder: string): string {
  return configuration(folder, 'durations', DURATIONS);
}

export function usual(folder: string): string {
  const ids = CATALOGUE.filter(({ enabled }) => enabled).map(({ id }) => id);
  return configuration(folder, 'usual', ids);
}

interface Server {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

interface Contender {
  readonly name: string;
  start(): Promise<Server>;
}

function contenders(folder: string): Contender[] {
  return [
    {
      name: "rxscope, host's counters, softirq_duration, hardirq_duration",
      start: () => startAgent(['--config.file', durations(folder)]),
    },
    {
      name: 'rxscope as it comes',
      start: () => startAgent(['--config.file', usual(folder)]),
    },
    {
      name: 'node_exporter, what corresponds',
      start: () => NodeExporter.start(CORRESPONDING),
    },
    { name: 'node_exporter as it comes', start: () => NodeExporter.start([]) },
  ];
}

async function scrapeTable(
  folder: string,
  { scrapes }: HostCostOptions,
  progress: (line: string) => void,
): Promise<string> {
  const rows: string[][] = [];
  for (const { name, start } of contenders(folder)) {
    progress(`scrapes: ${name}`);
    const server = await start();
    try {
      const all: Scrape[] = [];
      for (let i = 0; i < WARM_UP_SCRAPES + scrapes; i++) {
        const one = await goodScrape(server);
        if (i >= WARM_UP_SCRAPES) all.push(one);
      }
      const { body } = await scrape(server.url, server.pid, 'text', false);
      const resident = residentMb(server.pid);
      const cpu = all.map(({ cpuMs }) => cpuMs);
      const latency = all.map(({ latencyMs }) => latencyMs);
      rows.push([
        name,
        `${parseText(body, 'text').series.size}`,
        formatSpread(cpu, 2),
        (cpu.reduce((sum, ms) => sum + ms, 0) / cpu.length).toFixed(2),
        formatSpread(latency, 1),
        `${resident.now.toFixed(0)} (${resident.highest.toFixed(0)})`,
      ]);
    } finally {
      await server.stop();
    }
  }
  const header = ['series', 'CPU ms', 'mean CPU ms', 'latency ms', 'resident MB (highest)'];
  return markdownTable([`a scrape of ${scrapes} in a row: median (quartiles)`, ...header], rows);
}

async function goodScrape({ url, pid }: Server): Promise<Scrape> {
  const one = await scrape(url, pid, 'text', true);
  if (one.status !== 200) throw new Error(`status ${one.status}: ${one.body}`);
  return one;
}

const TURNS = 12;
const TURN_MS = 5_000;
/** What comes after the last scrape: V8 collects garbage some seconds later. */
const REST_MS = 10_000;

/** As Prometheus scrapes: seconds between, in which caches cool down and garbage is collected. */
async function turnTable(folder: string, progress: (line: string) => void): Promise<string> {
  const servers: { name: string; server: Server; beforeMs: number; afterMs: number }[] = [];
  try {
    for (const { name, start } of contenders(folder)) {
      const server = await start();
      servers.push({ name, server, beforeMs: 0, afterMs: 0 });
      for (let i = 0; i < WARM_UP_SCRAPES; i++) await goodScrape(server);
    }
    await sleep(REST_MS);
    for (const one of servers) one.beforeMs = processCpuMs(one.server.pid);
    for (let i = 0; i < TURNS; i++) {
      progress(`scrapes: turn ${i + 1} of ${TURNS}`);
      for (const { server } of servers) {
        await goodScrape(server);
        await sleep(TURN_MS / servers.length);
      }
    }
    await sleep(REST_MS);
    for (const one of servers) one.afterMs = processCpuMs(one.server.pid);
    const rows = servers.map(({ name, server, beforeMs, afterMs }) => [
      name,
      ((afterMs - beforeMs) / TURNS).toFixed(1),
      residentMb(server.pid).now.toFixed(0),
    ]);
    const header = ['all CPU ms a scrape', 'resident MB'];
    return markdownTable([`${TURNS} scrapes, one each ${TURN_MS / 1000} s`, ...header], rows);
  } finally {
    for (const { server } of servers) await server.stop();
  }
}
