// What the agent takes of the machine it is a guest on, beside Prometheus' node_exporter, both as they come and
// measured in turns: memory, start, CPU of a scrape.

import { mkdtempSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { NodeExporter } from '../e2e/others.ts';
import { usual } from './host_cost.ts';
import { residentMb } from './machine.ts';
import { ACCEPT, type Format, type Scrape, scrape } from './scraper.ts';
import { formatSpread, markdownTable } from './statistics.ts';
import { startAgent } from './user_cost.ts';

interface Server {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

interface Figures {
  readonly name: string;
  readonly start: () => Promise<Server>;
  readonly startSeconds: number[];
  readonly startMb: number[];
  readonly warmMs: number[];
  readonly coldMs: number[];
  scrapedMb: number;
}

const STARTS = 5;
const SCRAPES = 1_000;
/** Prometheus' own time between scrapes: caches cool down, garbage is collected. */
const COLD_EACH_MS = 15_000;
const COLD_SCRAPES = 8;
/** Text, as node_exporter has no protobuf; compressed, as Prometheus asks for it. */
const SAME = ['text', true] as const;

export async function guestCost(progress: (line: string) => void): Promise<string> {
  const folder = mkdtempSync('/var/tmp/rxscope-bench-');
  const empty = { startSeconds: [], startMb: [], warmMs: [], coldMs: [], scrapedMb: 0 };
  const all: Figures[] = [
    {
      ...structuredClone(empty),
      name: 'rxscope',
      start: () => startAgent(['--config.file', usual(folder)]),
    },
    { ...structuredClone(empty), name: 'node_exporter', start: () => NodeExporter.start([]) },
  ];
  try {
    for (let i = 0; i < STARTS; i++) {
      progress(`guest: start ${i + 1} of ${STARTS}`);
      for (const one of all) await measureStart(one);
    }
    await measureScrapes(all, progress);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const row = (what: string, of: (one: Figures) => string): string[] => [what, ...all.map(of)];
  return markdownTable(
    ['a guest: median (quartiles)', ...all.map(({ name }) => name)],
    [
      row('resident after the first scrape, MB', (one) => formatSpread(one.startMb, 1)),
      row(`resident after ${SCRAPES} scrapes in three formats, half of them gzip, MB`, (one) =>
        one.scrapedMb.toFixed(1),
      ),
      row('start of the process to the first good scrape, s', (one) =>
        formatSpread(one.startSeconds, 2),
      ),
      row('CPU of a scrape, warm: one after the other, ms', (one) => formatSpread(one.warmMs, 1)),
      row(`CPU of a scrape, cold: each ${COLD_EACH_MS / 1000} s, ms`, (one) =>
        formatSpread(one.coldMs, 1),
      ),
    ],
  );
}

async function measureStart(one: Figures): Promise<void> {
  const startedMs = performance.now();
  const server = await one.start();
  try {
    await good(server, ...SAME, 0);
    one.startSeconds.push((performance.now() - startedMs) / 1000);
    one.startMb.push(residentMb(server.pid).now);
  } finally {
    await server.stop();
  }
}

async function measureScrapes(
  all: readonly Figures[],
  progress: (line: string) => void,
): Promise<void> {
  const formats = Object.keys(ACCEPT) as Format[];
  const servers: { one: Figures; server: Server }[] = [];
  try {
    for (const one of all) {
      progress(`guest: ${SCRAPES} scrapes of ${one.name}`);
      const server = await one.start();
      servers.push({ one, server });
      for (let i = 0; i < SCRAPES; i++) {
        await good(server, formats[i % formats.length] ?? 'text', i % 2 === 0, 0);
      }
      one.scrapedMb = residentMb(server.pid).now;
      for (let i = 0; i < 50; i++) one.warmMs.push((await good(server, ...SAME)).cpuMs);
    }
    for (let i = 0; i < COLD_SCRAPES; i++) {
      progress(`guest: cold scrape ${i + 1} of ${COLD_SCRAPES}`);
      await sleep(COLD_EACH_MS);
      for (const { one, server } of servers) {
        one.coldMs.push((await good(server, ...SAME)).cpuMs);
      }
    }
  } finally {
    for (const { server } of servers) await server.stop();
  }
}

async function good(
  { url, pid }: Server,
  format: Format,
  gzip: boolean,
  settleMs?: number,
): Promise<Scrape> {
  const one = await scrape(url, pid, format, gzip, settleMs);
  if (one.status !== 200) throw new Error(`status ${one.status}: ${one.body}`);
  return one;
}
