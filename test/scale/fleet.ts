// Many simulated hosts and one real Prometheus that scrapes them all and evaluates the rules: started, asked,
// stopped. Judges nothing.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { freePort } from '../e2e/free_port.ts';
import { instanceOf } from './simulated_host.ts';
import type { Template } from './template.ts';

export interface FleetOptions {
  readonly hosts: number;
  readonly template: Template;
  readonly native: boolean;
  /** Of scrapes and evaluations. */
  readonly intervalSeconds: number;
  /** What `rxscope rules` prints. */
  readonly rules: string;
  /** Puts what Prometheus is to have already into its folder. */
  readonly fill?: (folder: string) => void;
}

const sampleSchema = z.object({
  metric: z.record(z.string(), z.string()),
  // A native histogram has none; it is asked functions of only.
  value: z.tuple([z.number(), z.string()]).default([0, 'NaN']),
});
const querySchema = z.object({
  status: z.literal('success'),
  data: z.object({ result: z.array(sampleSchema) }),
});
export type Sample = z.output<typeof sampleSchema>;

const groupsSchema = z.object({
  data: z.object({
    groups: z.array(
      z.object({
        name: z.string(),
        interval: z.number(),
        evaluationTime: z.number(),
        lastEvaluation: z.string(),
        rules: z.array(
          z.object({
            name: z.string(),
            health: z.string(),
            lastError: z.string().default(''),
            evaluationTime: z.number().default(0),
          }),
        ),
      }),
    ),
  }),
});
export type RuleGroupState = z.output<typeof groupsSchema>['data']['groups'][number];

const JOB = 'rxscope';
/** Characters of what an error shows. */
const FOUND_MAX = 2000;

export class Fleet {
  readonly #folder = mkdtempSync(join(tmpdir(), 'rxscope-scale-'));
  readonly #children: ChildProcess[] = [];
  readonly #kill = (): void => {
    for (const child of this.#children) child.kill('SIGKILL');
  };
  #address = '';

  static async start(options: FleetOptions): Promise<Fleet> {
    const fleet = new Fleet();
    process.once('exit', fleet.#kill);
    try {
      await fleet.#start(options);
    } catch (error) {
      await fleet.stop();
      throw error;
    }
    return fleet;
  }

  async #start({
    hosts,
    template,
    native,
    intervalSeconds,
    rules,
    fill,
  }: FleetOptions): Promise<void> {
    const templateFile = this.#write('template.json', JSON.stringify(template));
    const script = fileURLToPath(new URL('fleet_server.ts', import.meta.url));
    const args = ['--import', 'tsx', script, templateFile, String(hosts)];
    const server = this.#spawn(process.execPath, args, 'server.log');
    const target = (await firstLine(server)).replace('http://', '');
    const targets = Array.from({ length: hosts }, (_, host) => ({
      targets: [target],
      labels: { instance: instanceOf(host), __metrics_path__: `/${host}/metrics` },
    }));
    const configuration = {
      global: {
        scrape_interval: `${intervalSeconds}s`,
        scrape_timeout: `${intervalSeconds}s`,
        evaluation_interval: `${intervalSeconds}s`,
      },
      rule_files: [this.#write('rules.yaml', rules)],
      scrape_configs: [
        {
          job_name: JOB,
          file_sd_configs: [{ files: [this.#write('targets.json', JSON.stringify(targets))] }],
        },
      ],
    };
    // YAML takes JSON.
    const file = this.#write('prometheus.yml', JSON.stringify(configuration));
    this.#address = `127.0.0.1:${await freePort()}`;
    mkdirSync(join(this.#folder, 'data'));
    fill?.(join(this.#folder, 'data'));
    this.#spawn(
      'prometheus',
      [
        `--config.file=${file}`,
        `--storage.tsdb.path=${join(this.#folder, 'data')}`,
        `--web.listen-address=${this.#address}`,
        // For snapshots.
        '--web.enable-admin-api',
        ...(native ? ['--enable-feature=native-histograms'] : []),
      ],
      'prometheus.log',
    );
    await this.until('Prometheus answers', 60_000, async () =>
      (await this.query('vector(1)')).length === 1 ? undefined : 'no answer',
    );
  }

  get serverPid(): number {
    return this.#children[0]?.pid ?? 0;
  }

  get prometheusPid(): number {
    return this.#children[1]?.pid ?? 0;
  }

  get url(): string {
    return `http://${this.#address}`;
  }

  async query(expression: string): Promise<Sample[]> {
    return querySchema.parse(await this.#get('query', { query: expression })).data.result;
  }

  /** The one number that it yields; what yields nothing is 0. */
  async value(expression: string): Promise<number> {
    const [first, ...more] = await this.query(expression);
    if (more.length > 0) throw new Error(`${expression} yields ${more.length + 1} values`);
    return Number(first?.value[1] ?? 0);
  }

  /** Runs a query over a range of time as a dashboard does; resolves to the seconds that it took. */
  async rangeSeconds(
    expression: string,
    startSeconds: number,
    stepSeconds: number,
  ): Promise<number> {
    const range = {
      start: String(startSeconds),
      end: String(Date.now() / 1000),
      step: String(stepSeconds),
    };
    const startedMs = performance.now();
    z.object({ status: z.literal('success') }).parse(
      await this.#get('query_range', { query: expression, ...range }),
    );
    return (performance.now() - startedMs) / 1000;
  }

  async instantSeconds(expression: string): Promise<number> {
    const startedMs = performance.now();
    await this.query(expression);
    return (performance.now() - startedMs) / 1000;
  }

  async ruleGroups(): Promise<RuleGroupState[]> {
    return groupsSchema.parse(await this.#get('rules', {})).data.groups;
  }

  /** One number of Prometheus' own metrics; label sets are added up. */
  async own(name: string): Promise<number> {
    const text = await (await fetch(`http://${this.#address}/metrics`)).text();
    const lines = text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  /** `missing` resolves to what is not yet as it should be, and to nothing at last. */
  async until(what: string, ms: number, missing: () => Promise<unknown>): Promise<void> {
    const deadline = Date.now() + ms;
    for (;;) {
      const left = await missing().catch((error: unknown) => String(error));
      if (left === undefined) return;
      if (Date.now() > deadline || this.#children.some((child) => child.exitCode !== null)) {
        const found = JSON.stringify(left).slice(0, FOUND_MAX);
        throw new Error(`not in ${ms} ms: ${what}: ${found}; the logs end with\n${this.#logs()}`);
      }
      await sleep(500);
    }
  }

  async stop(): Promise<void> {
    process.off('exit', this.#kill);
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Bytes of the chunks that what Prometheus has in memory would take as a block on disk. */
  async chunkBytes(): Promise<number> {
    const path = `http://${this.#address}/api/v1/admin/tsdb/snapshot`;
    const answer = await (await fetch(path, { method: 'POST' })).json();
    const { name } = z.object({ data: z.object({ name: z.string() }) }).parse(answer).data;
    const folder = join(this.#folder, 'data/snapshots', name);
    const files = readdirSync(folder, { recursive: true }).map((file) => String(file));
    const chunks = files.filter((file) => /chunks\/\d+$/.test(file));
    return chunks.reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
  }

  async #get(path: string, parameters: Record<string, string>): Promise<unknown> {
    const query = new URLSearchParams(parameters).toString();
    return (await fetch(`http://${this.#address}/api/v1/${path}?${query}`)).json();
  }

  #write(name: string, contents: string): string {
    const file = join(this.#folder, name);
    writeFileSync(file, contents);
    return file;
  }

  #spawn(command: string, args: readonly string[], log: string): ChildProcess {
    const file = openSync(join(this.#folder, log), 'w');
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', file] });
    closeSync(file);
    // Without the program nothing answers, which is found out by asking.
    child.once('error', () => undefined);
    this.#children.push(child);
    return child;
  }

  #logs(): string {
    return ['server.log', 'prometheus.log']
      .map((name) => readFileSync(join(this.#folder, name), 'utf8').slice(-2_000))
      .join('\n');
  }
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes('\n')) resolve(output.slice(0, output.indexOf('\n')));
    });
    child.once('exit', (code) => reject(new Error(`the server of the fleet ended with ${code}`)));
  });
}
