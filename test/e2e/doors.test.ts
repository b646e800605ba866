// What an attacker on the network can send, against the built agent: slow, silent, half-open, pipelined and
// unread, a thousand connections at once, with TLS and users and without. Meanwhile somebody else scrapes.
// All of it is in a network namespace with small buffers, as networks have them: what is not read stays.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hashSync } from 'bcryptjs';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  RECEIVE_MS_MAX,
  REQUESTS_PER_CONNECTION_MAX,
  SEND_MS_MAX,
  UNSENT_BYTES_MAX,
} from '../../src/serve/limits.ts';
import { certificates } from '../serve/certificates.ts';
import { type AgentProcess, RXSCOPE, startAgent } from './agent_process.ts';

/** What deploy/README.md promises: a test below compares. */
const GROWTH_MB_MAX = 192;
/** What Prometheus waits for unless told otherwise; the machine may be busy with more than this. */
const SCRAPE_MS_MAX = 10_000;
/** While a thousand ask at once, on the same two CPUs. */
const CROWDED_MS_MAX = 30_000;
/** How long the agent does one thing after the other before it looks at its timers again. */
const LOOP_MS_MAX = 1_000;
/** For the agent's timers, and for this machine to be busy. */
const SLACK_MS = 4_000;

const NAMESPACE = `rxscope-doors-${process.pid}`;
const INSIDE = ['ip', 'netns', 'exec', NAMESPACE];
const pki = certificates();
const USER = `basic_auth_users: { prometheus: "${hashSync('right', 4)}" }\n`;
const AUTHORIZATION = `Basic ${Buffer.from('prometheus:right').toString('base64')}`;
const TLS = 'tls_server_config: { cert_file: server.pem, key_file: server.key }\n';

const folder = mkdtempSync(join(tmpdir(), 'rxscope-doors-'));

beforeAll(() => {
  execFileSync('ip', ['netns', 'add', NAMESPACE]);
  const buffers = ['tcp_rmem', 'tcp_wmem'].map((name) => `net.ipv4.${name}=4096 16384 16384`);
  execFileSync('ip', ['-n', NAMESPACE, 'link', 'set', 'lo', 'mtu', '1500', 'up']);
  execFileSync(INSIDE[0] ?? '', [...INSIDE.slice(1), 'sysctl', '-qw', ...buffers]);
  pki.authority('ca');
  pki.issue('server', { sans: 'IP:127.0.0.1' });
});
afterAll(() => {
  execFileSync('ip', ['netns', 'del', NAMESPACE]);
  rmSync(folder, { recursive: true, force: true });
});

interface Attack {
  readonly what: string;
  readonly connections: number;
  readonly text?: string;
  readonly times?: number;
  readonly byteEachMs?: number;
  readonly read?: boolean;
  readonly again?: boolean;
}

const HOST = 'HTTP/1.1\r\nHost: localhost\r\n';
const FLOOD: readonly Attack[] = [
  { what: 'the page', connections: 12, text: `GET / ${HOST}\r\n`, times: 2_600 },
  { what: 'outliers', connections: 30, text: `GET /api/v1/outliers ${HOST}\r\n`, times: 2_600 },
  { what: 'nothing that is there', connections: 31, text: `GET /x ${HOST}\r\n`, times: 5_003 },
  { what: 'a bad path', connections: 31, text: `GET /%zz ${HOST}\r\n`, times: 5_003 },
  { what: 'without a Host', connections: 31, text: 'GET / HTTP/1.1\r\n\r\n', times: 5_003 },
  { what: 'headers alone', connections: 31, text: `HEAD /metrics ${HOST}\r\n`, times: 5_003 },
  { what: 'wonders', connections: 31, text: `GET / ${HOST}Expect: wonders\r\n\r\n`, times: 5_003 },
  {
    what: 'whether to go on',
    connections: 31,
    text: `GET / ${HOST}Expect: 100-continue\r\n\r\n`,
    times: 5_003,
  },
  {
    what: 'gzipped metrics',
    connections: 31,
    text: `GET /metrics ${HOST}Accept-Encoding: gzip\r\n\r\n`,
    times: 5_003,
  },
].map((attack) => ({ ...attack, again: true }));
/** By somebody who has the password, where one is asked for: what is refused is short, and needs no reader. */
const UNREAD: Attack = {
  what: 'metrics',
  connections: 40,
  text: `GET /metrics ${HOST}Authorization: ${AUTHORIZATION}\r\n\r\n`,
};
const SLOW: readonly Attack[] = [
  { what: 'nothing', connections: 300, read: true },
  { what: 'half a request', connections: 200, text: 'GET /metrics HT', read: true },
  {
    what: 'a byte at a time',
    connections: 53,
    text: `GET / ${HOST}X: ${'a'.repeat(101)}\r\n\r\n`,
    byteEachMs: 500,
    read: true,
  },
  {
    what: 'a body that does not come',
    connections: 53,
    text: `POST / ${HOST}Content-Length: 1009\r\n\r\n{`,
    read: true,
  },
  {
    what: 'a request, and another one that does not end',
    connections: 53,
    text: `GET /x ${HOST}\r\nGET /x ${HOST}X: ${'a'.repeat(5_003)}`,
    byteEachMs: 20,
    read: true,
  },
];

describe.each([
  { doors: 'open', yaml: '' },
  { doors: 'with TLS and users', yaml: TLS + USER },
])('doors that are $doors', ({ doors, yaml }) => {
  const loopDelay = join(folder, `loop delay ${doors}`);
  let honest: Honest;
  beforeAll(async () => {
    const web = yaml === '' ? [] : ['--web.config.file', pki.write('web.yml', yaml)];
    // One probe, which is up the sooner: what it measures is not the matter here.
    const args = ['--probe', 'softirq_duration', ...web];
    const watched = [...INSIDE, 'env', `LOOP_DELAY_FILE=${loopDelay}`, ...withLoopDelay(RXSCOPE)];
    honest = new Honest(await startAgent(args, watched), yaml !== '');
    await honest.scrapes(3);
  });
  // Before its folder goes, to which it writes.
  afterAll(() => honest?.end());

  test.each([
    {
      what: 'thousands of requests at once, whose answers nobody reads',
      attacks: FLOOD,
      until: () => honest.scrapes(5),
    },
    {
      what: 'forty who ask for the metrics and do not read them',
      attacks: [UNREAD],
      until: () => honest.isAlone(SEND_MS_MAX),
    },
    {
      what: 'hundreds who are slow, or silent',
      attacks: SLOW,
      until: () => honest.isAlone(RECEIVE_MS_MAX),
    },
    {
      what: 'a thousand at once, of whom each asks and reads',
      attacks: [{ ...UNREAD, connections: 1_000, read: true }],
      until: () => honest.scrapes(3),
      // More than `requests_in_flight_max` are in flight for a moment: so one is told.
      statuses: [200, 503],
      msMax: CROWDED_MS_MAX,
    },
  ])(
    '$what',
    { timeout: 120_000 },
    async ({ attacks, until, statuses = [200], msMax = SCRAPE_MS_MAX }) => {
      rmSync(loopDelay, { force: true });
      const growthMb = await honest.during(attacks, until);
      const loop = JSON.parse(readFileSync(loopDelay, 'utf8'));
      // So that a run tells how far from its bounds it was.
      console.log(
        `memory grew by ${growthMb.toFixed(0)} MB; the loop was late by ${loop.late.toFixed(0)} ms at most, ${loop.busy.toFixed(0)} ms by its own doing; ${honest.slowest()}`,
      );
      expect(growthMb).toBeLessThan(GROWTH_MB_MAX);
      expect(loop.busy).toBeLessThan(LOOP_MS_MAX);
      expect(honest.failures(statuses, msMax)).toEqual([]);
    },
  );
});

test('what is promised here is what deploy/README.md promises', () => {
  const text = readFileSync(new URL('../../deploy/README.md', import.meta.url), 'utf8');
  for (const promise of [
    `all of the above | ${GROWTH_MB_MAX} MB more`,
    `a scrape is answered within ${SCRAPE_MS_MAX / 1000} s`,
    `within ${CROWDED_MS_MAX / 1000} s while a thousand`,
    `event loop is busy for ${LOOP_MS_MAX / 1000} s at a stretch at most`,
    `${RECEIVE_MS_MAX / 1000} s to send`,
    `${SEND_MS_MAX / 1000} s to read`,
    `${REQUESTS_PER_CONNECTION_MAX} requests`,
    `${UNSENT_BYTES_MAX / 2 ** 20} MiB of answers`,
  ]) {
    expect(text.replaceAll(/\s+/g, ' ')).toContain(promise);
  }
});

/** Somebody who scrapes, and what the agent is like meanwhile. */
class Honest {
  readonly #agent: AgentProcess;
  readonly #tls: boolean;
  readonly #told: { readonly status: number; readonly ms: number }[] = [];

  constructor(agent: AgentProcess, tls: boolean) {
    this.#agent = agent;
    this.#tls = tls;
    const child = inside('scraper.mjs', {
      port: this.#port,
      tls,
      ...(tls ? { authorization: AUTHORIZATION } : {}),
    });
    child.stdout?.on('data', (lines: Buffer) => {
      for (const line of lines.toString().trim().split('\n')) this.#told.push(JSON.parse(line));
    });
  }

  async end(): Promise<void> {
    this.#agent.child.kill('SIGKILL');
    await this.#agent.ended;
  }

  /** Until so many have had their metrics. */
  async scrapes(count: number): Promise<void> {
    const good = (): number => this.#told.filter(({ status }) => status === 200).length;
    const before = good();
    await vi.waitFor(() => expect(good()).toBeGreaterThanOrEqual(before + count), {
      timeout: 60_000,
    });
  }

  slowest(): string {
    const ms = Math.max(...this.#told.map((one) => one.ms));
    return `the slowest of ${this.#told.length} scrapes took ${ms.toFixed(0)} ms`;
  }

  /** Answers of another status, or late. */
  failures(statuses: readonly number[], msMax: number): readonly unknown[] {
    return this.#told.filter(({ status, ms }) => !statuses.includes(status) || ms > msMax);
  }

  /** By how much the agent's memory grew, at most, from before the attacks to what `until` waits for. */
  async during(attacks: readonly Attack[], until: () => Promise<void>): Promise<number> {
    const { pid } = this.#agent;
    const beforeMb = memoryMb(pid, 'VmRSS');
    // VmHWM begins anew.
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
    const children = await Promise.all(
      attacks.map(async (attack) => {
        const child = inside('attacker.mjs', { ...attack, port: this.#port, tls: this.#tls });
        await once(child.stdout ?? child, 'data');
        return child;
      }),
    );
    try {
      await until();
    } finally {
      for (const child of children) child.kill('SIGKILL');
    }
    return memoryMb(pid, 'VmHWM') - beforeMb;
  }

  /** Once the agent has no connection but its own, and perhaps one of which it has not heard yet. */
  async isAlone(withinMs: number): Promise<void> {
    await vi.waitFor(() => expect(this.#connections()).toBeLessThanOrEqual(2), {
      timeout: withinMs + SLACK_MS,
      interval: 200,
    });
  }

  get #port(): number {
    return Number(new URL(this.#agent.url).port);
  }

  /** Established, at the agent's end. */
  #connections(): number {
    const port = this.#port.toString(16).toUpperCase().padStart(4, '0');
    const rows = readFileSync(`/proc/${this.#agent.pid}/net/tcp`, 'utf8').split('\n');
    return rows.filter((row) => new RegExp(`^ *\\d+: [\\dA-F]{8}:${port} \\S+ 01 `).test(row))
      .length;
  }
}

function withLoopDelay([node = '', ...words]: readonly string[]): string[] {
  return [node, '--import', new URL('loop_delay.mjs', import.meta.url).href, ...words];
}

const children = new Set<ChildProcess>();
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
});

/** Runs a script beside this file in the namespace. */
function inside(script: string, options: object): ChildProcess {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const [program = '', ...words] = [...INSIDE, process.execPath, file, JSON.stringify(options)];
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.add(child);
  return child;
}

function memoryMb(pid: number, what: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${what}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1000;
}
