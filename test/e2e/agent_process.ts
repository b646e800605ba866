// The real agent as a child process, for the end-to-end tests: started, heard, scraped, stopped.
// Judges nothing. Needs the build; whatever a test leaves running dies with its file.

import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { parseText } from '../metrics/decode.ts';
import { Numbers } from './numbers.ts';

/** How rxscope is called. A test may put other words before, which must exec these in the end. */
export const RXSCOPE: readonly string[] = [
  process.execPath,
  fileURLToPath(new URL('../../dist/commands/main.js', import.meta.url)),
];

/** Of a process that is starting; where others load the machine, Node alone may take ten seconds. */
const START_MS_MAX = 45_000;

export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface Ended {
  /** Null when a signal killed it, which is then in `signal`. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Uint8Array;
}

/** A running rxscope command, whichever. */
export class Rxscope {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';

  constructor(args: readonly string[], command = RXSCOPE, env: NodeJS.ProcessEnv = {}) {
    const [program = '', ...words] = [...command, ...args];
    this.child = spawn(program, words, {
      stdio: ['ignore', 'pipe', 'pipe'],
      // As in a shell where nobody has said anything about colours.
      env: { ...process.env, FORCE_COLOR: undefined, NO_COLOR: undefined, ...env },
    });
    running.add(this.child);
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.stdout += chunk.toString();
    });
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    this.ended = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', (code, signal) => {
        running.delete(this.child);
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Complete lines of the log, which is JSON. What else is on stderr is left out. */
  logs(): LogLine[] {
    return this.stderr
      .split('\n')
      .slice(0, -1)
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as LogLine);
  }
}

/** `rxscope run`, from the moment when it says that it measures. */
export class AgentProcess extends Rxscope {
  url = '';

  async scrape(accept?: string): Promise<Answer> {
    const response = await fetch(`${this.url}/metrics`, accept ? { headers: { accept } } : {});
    return {
      status: response.status,
      contentType: response.headers.get('content-type') ?? '',
      body: new Uint8Array(await response.arrayBuffer()),
    };
  }

  /** One scrape in the text format, ready for questions. */
  async numbers(): Promise<Numbers> {
    return new Numbers(parseText((await this.scrape()).body, 'text').series);
  }

  async json(path: string): Promise<unknown> {
    return (await fetch(`${this.url}${path}`)).json();
  }

  /** Resolves to the milliseconds from the signal to the end, and how it ended. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended & { ms: number }> {
    const startedMs = performance.now();
    this.child.kill(signal);
    const ended = await this.ended;
    return { ...ended, ms: performance.now() - startedMs };
  }
}

/** Starts `rxscope run` on a free port of loopback. Throws with its output when it ends instead. */
export async function startAgent(
  args: readonly string[] = [],
  command: readonly string[] = RXSCOPE,
): Promise<AgentProcess> {
  const fixed = ['run', '--web.listen-address', '127.0.0.1:0', '--log.format', 'json'];
  const agent = new AgentProcess([...fixed, ...args], command);
  const line = await logLine(agent, ({ metrics }) => metrics !== undefined);
  agent.url = String(line.metrics).replace(/\/metrics$/, '');
  return agent;
}

/** Runs any rxscope command to its end. */
export function runRxscope(
  args: readonly string[],
  command: readonly string[] = RXSCOPE,
  env: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  return new Rxscope(args, command, env).ended;
}

/** The first line of the log, past or to come, that is like this. */
export function logLine(agent: Rxscope, like: (line: LogLine) => boolean): Promise<LogLine> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const found = agent.logs().find(like);
      if (found !== undefined) settle(() => resolve(found));
    };
    const fail = (why: string): void =>
      settle(() => reject(new Error(`${why}; rxscope says:\n${agent.stderr}`)));
    const deadline = setTimeout(() => fail('no such line in the log'), START_MS_MAX);
    const settle = (how: () => void): void => {
      clearTimeout(deadline);
      agent.child.stderr?.off('data', look);
      how();
    };
    agent.child.stderr?.on('data', look);
    void agent.ended.then(
      ({ code }) => fail(`ended with ${code}`),
      (error: unknown) => fail(String(error)),
    );
    look();
  });
}

const running = new Set<ChildProcess>();

function killAll(): void {
  for (const child of running) child.kill('SIGKILL');
}

// Of each test file that imports this one, also when a test in it has failed or hangs.
afterAll(killAll);
process.once('exit', killAll);
