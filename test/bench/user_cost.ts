// What the agent costs in user space: CPU while nobody scrapes, CPU and time of a scrape, memory
// under load, time from start to the first good scrape. Measures processes from outside.

import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Lab, RECEIVER } from '../kernel/lab.ts';
import { processCpuMs, residentMb } from './machine.ts';
import { ACCEPT, type Format, type Scrape, scrape } from './scraper.ts';
import { formatSpread, markdownTable } from './statistics.ts';

export interface UserCostOptions {
  /** Scrapes of each kind. */
  readonly scrapes: number;
  /** How long the agent is under load before its memory is read. */
  readonly minutes: number;
}

/** Returns the tables as Markdown. `progress` hears of each part. */
export async function userCost(
  options: UserCostOptions,
  progress: (line: string) => void,
): Promise<string> {
  const parts: string[] = [];
  progress('start to first good scrape');
  parts.push(await startTable());
  const lab = new Lab();
  try {
    progress(`the agent under load, ${options.minutes} min`);
    parts.push(await loadTable(lab, options));
  } finally {
    lab.close();
  }
  progress('scrapes');
  parts.push(await scrapeTable(options.scrapes));
  return parts.join('\n');
}

const STARTS = 7;
const IDLE_SECONDS = 20;
/** V8 collects garbage once more some seconds after the last work: that belongs to the scrape. */
const REST_MS = 15_000;
/** Prometheus scrapes each 15 s by default; this is more often. */
const SCRAPE_EACH_MS = 5_000;
const LABEL_SETS = [30, 500, 5_000];
const WARM_UP_SCRAPES = 10;

async function startTable(): Promise<string> {
  const times: number[] = [];
  for (let i = 0; i < STARTS; i++) {
    const startedMs = performance.now();
    const agent = await startAgent();
    try {
      checkUp(await scrape(agent.url, agent.pid, 'text', true));
      times.push((performance.now() - startedMs) / 1000);
    } finally {
      await agent.stop();
    }
  }
  return markdownTable(
    [`${STARTS} starts: median (quartiles)`, 'seconds'],
    [['start of the process to first good scrape', formatSpread(times, 2)]],
  );
}

/** All probes stand, or the figures would be those of something else. */
function checkUp({ status, body }: Scrape): void {
  const down = body.toString().match(/^rxscope_probe_up\{.*\} 0$/gm);
  if (status !== 200 || down !== null) {
    throw new Error(`no good scrape: status ${status}, ${down?.join(', ') ?? 'all up'}`);
  }
}

/** One agent under load throughout: first nobody scrapes, then somebody does. */
async function loadTable(lab: Lab, options: UserCostOptions): Promise<string> {
  const agent = await startAgent();
  const load = startLoad(lab);
  try {
    checkUp(await scrape(agent.url, agent.pid, 'text', false));
    await sleep(REST_MS);
    const idleFromMs = processCpuMs(agent.pid);
    await sleep(IDLE_SECONDS * 1000);
    const idleMs = processCpuMs(agent.pid) - idleFromMs;
    const untilMs = performance.now() + options.minutes * 60_000;
    const scrapes: Scrape[] = [];
    while (performance.now() < untilMs) {
      scrapes.push(await scrape(agent.url, agent.pid, 'protobuf', true));
      await sleep(SCRAPE_EACH_MS);
    }
    const resident = residentMb(agent.pid);
    const packets = await load.stop();
    return markdownTable(
      ['The agent under load', ''],
      [
        ['load, packets a second', (packets.count / packets.seconds).toFixed(0)],
        [`CPU in ${IDLE_SECONDS} s without a scrape, ms`, idleMs.toFixed(1)],
        [
          'CPU of a scrape, ms: median (quartiles)',
          formatSpread(
            scrapes.map((one) => one.cpuMs),
            1,
          ),
        ],
        [
          'time of a scrape, ms: median (quartiles)',
          formatSpread(
            scrapes.map((one) => one.latencyMs),
            1,
          ),
        ],
        [`resident after ${options.minutes} min, MB`, resident.now.toFixed(1)],
        ['resident at most, MB', resident.highest.toFixed(1)],
      ],
    );
  } finally {
    await load.stop();
    await agent.stop();
  }
}

async function scrapeTable(scrapes: number): Promise<string> {
  const rows: string[][] = [];
  for (const labelSets of LABEL_SETS) {
    const server = await startServer(labelSets);
    try {
      for (const format of Object.keys(ACCEPT) as Format[]) {
        const plain = await scrapeOften(server, format, false, scrapes);
        const gzipped = await scrapeOften(server, format, true, scrapes);
        rows.push([
          `${labelSets} histograms, ${format}`,
          `${((plain[0]?.body.length ?? 0) / 1000).toFixed(0)}`,
          ...[plain, gzipped].flatMap((all) => [
            formatSpread(
              all.map((one) => one.cpuMs),
              1,
            ),
            formatSpread(
              all.map((one) => one.latencyMs),
              1,
            ),
          ]),
        ]);
      }
    } finally {
      await server.stop();
    }
  }
  const header = ['kB', 'CPU ms', 'latency ms', 'CPU ms, gzip', 'latency ms, gzip'];
  return markdownTable([`A scrape (${scrapes} each): median (quartiles)`, ...header], rows);
}

async function scrapeOften(
  server: Server,
  format: Format,
  gzip: boolean,
  times: number,
): Promise<Scrape[]> {
  const all: Scrape[] = [];
  for (let i = 0; i < WARM_UP_SCRAPES + times; i++) {
    const one = await scrape(server.url, server.pid, format, gzip);
    if (one.status !== 200) throw new Error(`status ${one.status}: ${one.body}`);
    if (i >= WARM_UP_SCRAPES) all.push(one);
  }
  return all;
}

interface Server {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** `rxscope run` on a free port, with these arguments more. */
export function startAgent(args: readonly string[] = []): Promise<Server> {
  const main = fileURLToPath(new URL('../../dist/commands/main.js', import.meta.url));
  const options = ['run', '--web.listen-address', '127.0.0.1:0', '--log.format', 'json'];
  return started([main, ...options, ...args]);
}

function startServer(labelSets: number): Promise<Server> {
  const script = fileURLToPath(new URL('scrape_server.ts', import.meta.url));
  return started(['--import', 'tsx', script, `${labelSets}`]);
}

/** Starts a script with this Node; resolves when it has told its URL, on either stream. */
async function started(args: readonly string[]): Promise<Server> {
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const url = await new Promise<string>((resolve, reject) => {
    let output = '';
    const look = (chunk: Buffer): void => {
      output += chunk.toString();
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(output);
      if (found !== null) resolve(found[0]);
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    child.once('exit', (code) => reject(new Error(`ended with ${code}: ${output}`)));
  });
  return { url, pid: child.pid ?? 0, stop: () => stopped(child) };
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
}

const PORT = 7002;
const DATAGRAMS_A_TURN = 100_003;
const GAP_US = 20;

/** Datagrams over veth until stopped, tens of thousands a second. */
function startLoad(lab: Lab): { stop(): Promise<{ count: number; seconds: number }> } {
  const startedMs = performance.now();
  let wanted = true;
  let count = 0;
  const work = (async () => {
    while (wanted) {
      const receiver = lab.receive('udp', RECEIVER, PORT, DATAGRAMS_A_TURN, { cpu: 1 });
      await receiver.ready;
      await lab.send('udp', RECEIVER, PORT, DATAGRAMS_A_TURN, { cpu: 0, 'gap-us': GAP_US });
      await receiver.result;
      count += DATAGRAMS_A_TURN;
    }
    return { count, seconds: (performance.now() - startedMs) / 1000 };
  })();
  return {
    stop: () => {
      wanted = false;
      return work;
    },
  };
}
