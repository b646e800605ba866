// Tools that count the same things independently, as child processes: Prometheus' node_exporter, and
// softirqs and hardirqs of libbpf-tools. Started, read, stopped; judges nothing.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseText } from '../metrics/decode.ts';
import { freePort } from './free_port.ts';
import { heldBpf } from './held_bpf.ts';
import { Numbers } from './numbers.ts';

/** What corresponds to rxscope's host counters; every protocol's counters and every device. */
export const CORRESPONDING = [
  '--collector.disable-defaults',
  ...['cpu', 'interrupts', 'netdev', 'netstat', 'softnet', 'stat'].map(
    (name) => `--collector.${name}`,
  ),
  '--collector.stat.softirq',
  '--collector.netstat.fields=.*',
  '--collector.netdev.device-exclude=',
];

const START_MS_MAX = 20_000;

export class NodeExporter {
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.#child = child;
  }

  /** On a free port of loopback. */
  static async start(args: readonly string[]): Promise<NodeExporter> {
    const address = `127.0.0.1:${await freePort()}`;
    const child = spawn(
      'prometheus-node-exporter',
      [`--web.listen-address=${address}`, '--log.level=error', ...args],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let complaints = '';
    child.stderr.on('data', (chunk: Buffer) => {
      complaints += chunk.toString();
    });
    const exporter = new NodeExporter(`http://${address}`, child);
    const giveUp = performance.now() + START_MS_MAX;
    while (!(await exporter.#answers())) {
      if (child.exitCode !== null || performance.now() > giveUp) {
        await exporter.stop();
        throw new Error(`node_exporter does not answer: ${complaints}`);
      }
      await sleep(20);
    }
    return exporter;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async numbers(): Promise<Numbers> {
    const body = await (await fetch(`${this.url}/metrics`)).arrayBuffer();
    return new Numbers(parseText(new Uint8Array(body), 'text').series);
  }

  async #answers(): Promise<boolean> {
    return fetch(this.url).then(
      ({ ok }) => ok,
      () => false,
    );
  }

  stop(): Promise<void> {
    return ended(this.#child, 'SIGTERM');
  }
}

/** softirqs or hardirqs, which time every handler and, with -d, sum their counts up in histograms. */
export class IrqTool {
  readonly #child: ChildProcess;
  #output = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.on('data', (chunk: Buffer) => {
      this.#output += chunk.toString();
    });
  }

  /** Resolves when it counts. */
  static async start(program: 'softirqs' | 'hardirqs'): Promise<IrqTool> {
    // It writes into a pipe only at its end, unless somebody makes it write line by line.
    const child = spawn('stdbuf', ['-oL', program, '-d'], { stdio: ['ignore', 'pipe', 'pipe'] });
    const tool = new IrqTool(child);
    const giveUp = performance.now() + START_MS_MAX;
    while (!tool.#output.includes('Tracing')) {
      if (child.exitCode !== null || performance.now() > giveUp) {
        await ended(child, 'SIGKILL');
        throw new Error(`${program} does not start: ${tool.#output}`);
      }
      await sleep(20);
    }
    return tool;
  }

  /** The ids of its programs. */
  get programs(): ReadonlySet<number> {
    return heldBpf(this.#child.pid ?? 0).programs;
  }

  /** Ends it. What it counted, by the names that it prints. */
  async stop(): Promise<Map<string, number>> {
    await ended(this.#child, 'SIGINT');
    const counts = new Map<string, number>();
    let name = '';
    for (const line of this.#output.split('\n')) {
      name = /^(?:soft|hard)irq = (.+)$/.exec(line)?.[1]?.trim() ?? name;
      const count = /^\s*\d+ -> \d+\s*:\s*(\d+)/.exec(line)?.[1];
      if (count !== undefined) counts.set(name, (counts.get(name) ?? 0) + Number(count));
    }
    return counts;
  }
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill(signal);
  await closed;
}
