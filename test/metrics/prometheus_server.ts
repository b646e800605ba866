// A real Prometheus that scrapes loopback each second, and the questions that tests ask of it.
// Knows nothing of what it scrapes.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { freePort } from '../e2e/free_port.ts';
import {
  INSTALLED,
  nativeHistogramSettings,
  type PrometheusVersion,
} from './prometheus_versions.ts';

/** One scrape job with one target. */
export interface Job {
  readonly name: string;
  /** HOST:PORT */
  readonly target: string;
  readonly path: string;
  /** More settings of the job, such as scheme, basic_auth and tls_config. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** What is off by default, in every version. */
export type Feature = 'native-histograms' | 'exemplar-storage';

export interface PrometheusServer {
  query(expression: string): Promise<readonly VectorSample[]>;
  /** The same, with what Prometheus finds strange in the query: warnings, and from 3 on what it calls infos. */
  ask(expression: string): Promise<{ samples: readonly VectorSample[]; remarks: string[] }>;
  /** The one value that the expression yields. */
  value(expression: string): Promise<number>;
  /** Exemplars of the last and the next minute. */
  exemplars(selector: string): Promise<readonly StoredExemplar[]>;
  /** All recording and alerting rules, as they were evaluated last. */
  rules(): Promise<readonly EvaluatedRule[]>;
  /** Any other question of its API: `query_range`. Resolves to the answer as it is. */
  get(path: string, parameters: Readonly<Record<string, string>>): Promise<unknown>;
  stop(): Promise<void>;
}

export interface PrometheusOptions {
  /** A file's path each; they are evaluated each second. */
  readonly rules?: readonly string[];
  readonly version?: PrometheusVersion;
  /** Whom alerts are sent to, HOST:PORT. */
  readonly alertmanager?: string | undefined;
}

/** Starts it; resolves when every job has been scraped with success. */
export async function startPrometheus(
  jobs: readonly Job[],
  features: readonly Feature[],
  { rules = [], version = INSTALLED, alertmanager }: PrometheusOptions = {},
): Promise<PrometheusServer> {
  const folder = mkdtempSync(join(tmpdir(), 'rxscope-prometheus-'));
  const more = features.includes('native-histograms') ? nativeHistogramSettings(version) : {};
  writeFileSync(join(folder, 'prometheus.yml'), configuration(jobs, rules, more, alertmanager));
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(
    version.prometheus,
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=${address}`,
      `--enable-feature=${features.join()}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const kill = (): boolean => child.kill('SIGKILL');
  process.once('exit', kill);
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  let ended = false;
  child.once('exit', () => {
    ended = true;
  });
  // Without the program there is only this event, and no exit.
  child.once('error', (error) => {
    ended = true;
    log += String(error);
  });

  const server: PrometheusServer = {
    query: async (expression) => (await server.ask(expression)).samples,
    ask: async (expression) => {
      const answer = vectorSchema.parse(await get('query', { query: expression }));
      return { samples: answer.data.result, remarks: [...answer.warnings, ...answer.infos] };
    },
    value: async (expression) => {
      const result = await server.query(expression);
      const text = result[0]?.value[1];
      if (result.length !== 1 || text === undefined) {
        throw new Error(`${expression} yields ${JSON.stringify(result)}; Prometheus says:\n${log}`);
      }
      return Number(text.replace('Inf', 'Infinity'));
    },
    exemplars: async (selector) => {
      const now = Date.now() / 1000;
      const range = { start: String(now - 60), end: String(now + 60) };
      const answer = await get('query_exemplars', { query: selector, ...range });
      return exemplarsSchema.parse(answer).data.flatMap((series) => series.exemplars);
    },
    rules: async () => {
      const { groups } = rulesSchema.parse(await get('rules', {})).data;
      return groups.flatMap((group) => group.rules);
    },
    get,
    stop: async () => {
      process.off('exit', kill);
      if (!ended) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };

  async function get(path: string, parameters: Record<string, string>): Promise<unknown> {
    const response = await fetch(
      `http://${address}/api/v1/${path}?${new URLSearchParams(parameters)}`,
    );
    return response.json();
  }

  async function allUp(): Promise<void> {
    const deadline = Date.now() + 45_000;
    while (Date.now() < deadline && !ended) {
      // Refused until Prometheus listens; empty until the first scrapes are stored.
      const up = await server.query('up == 1').catch(() => []);
      if (up.length === jobs.length) return;
      await sleep(100);
    }
    throw new Error(`Prometheus has not scraped every job with success; it says:\n${log}`);
  }

  try {
    await allUp();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

const vectorSchema = z.object({
  status: z.literal('success'),
  warnings: z.array(z.string()).default([]),
  infos: z.array(z.string()).default([]),
  data: z.object({
    result: z.array(
      z.object({
        metric: z.record(z.string(), z.string()),
        // A native histogram has no `value`; the tests ask functions of it only.
        value: z.tuple([z.number(), z.string()]).default([0, 'no float']),
      }),
    ),
  }),
});
type VectorSample = z.output<typeof vectorSchema>['data']['result'][number];

const exemplarsSchema = z.object({
  data: z.array(
    z.object({
      exemplars: z.array(
        z.object({
          labels: z.record(z.string(), z.string()),
          value: z.string().transform(Number),
          timestamp: z.number(),
        }),
      ),
    }),
  ),
});
const ruleSchema = z.object({
  name: z.string(),
  type: z.enum(['recording', 'alerting']),
  query: z.string(),
  /** `unknown` until it has been evaluated. */
  health: z.enum(['ok', 'err', 'unknown']),
  lastError: z.string().default(''),
  /** Seconds. */
  evaluationTime: z.number(),
});
type EvaluatedRule = z.output<typeof ruleSchema>;
const rulesSchema = z.object({
  data: z.object({ groups: z.array(z.object({ rules: z.array(ruleSchema) })) }),
});

type StoredExemplar = z.output<typeof exemplarsSchema>['data'][number]['exemplars'][number];

function configuration(
  jobs: readonly Job[],
  rules: readonly string[],
  more: object,
  alertmanager: string | undefined,
): string {
  const intervals = { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' };
  const entries = jobs.map(
    ({ name, target, path, settings = {} }) => `
  - job_name: ${name}
    metrics_path: ${path}${Object.entries(settings)
      .map(([key, value]) => `\n    ${key}: ${JSON.stringify(value)}`)
      .join('')}
    static_configs: [{ targets: ['${target}'] }]`,
  );
  const alertmanagers =
    alertmanager === undefined ? [] : [{ static_configs: [{ targets: [alertmanager] }] }];
  return `global: ${JSON.stringify({ ...intervals, ...more })}
rule_files: ${JSON.stringify(rules)}
alerting: { alertmanagers: ${JSON.stringify(alertmanagers)} }
scrape_configs:${entries.join('')}
`;
}
