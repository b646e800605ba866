// A real Alertmanager with the configuration that rxscope ships as an example, and somebody who receives
// its notifications. Only waiting times and addresses are other than in the example.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { alertsFile } from '../publish/rule_files.ts';
import { freePort } from './free_port.ts';

/** In place of the example's 30 s and 5 min, since what it sends is to come soon. */
const WAIT = '1s';
const START_MS_MAX = 30_000;

/** What a notification says of one alert. */
export interface Page {
  /** Whom it was sent to. */
  readonly receiver: string;
  readonly status: 'firing' | 'resolved';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** When Prometheus let it fire, in milliseconds of the epoch, as all times here. */
  readonly firedMs: number;
  readonly arrivedMs: number;
}

const notificationSchema = z.object({
  receiver: z.string(),
  alerts: z.array(
    z.object({
      status: z.enum(['firing', 'resolved']),
      labels: z.record(z.string(), z.string()),
      annotations: z.record(z.string(), z.string()),
      startsAt: z.iso.datetime({ offset: true }),
    }),
  ),
});

/** Listens as the receivers of the example do. */
export class Pager {
  /** Each alert once as firing and once as resolved, however often a notification names it. */
  readonly pages: Page[] = [];
  readonly #known = new Set<string>();
  readonly #server = http.createServer((request, response) => {
    json(request).then(
      (body) => {
        this.#take(body);
        response.end();
      },
      () => response.writeHead(400).end(),
    );
  });

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #take(body: unknown): void {
    const arrivedMs = Date.now();
    const { receiver, alerts } = notificationSchema.parse(body);
    for (const { status, labels, annotations, startsAt } of alerts) {
      const key = JSON.stringify([receiver, status, labels, startsAt]);
      if (this.#known.has(key)) continue;
      this.#known.add(key);
      const firedMs = Date.parse(startsAt);
      this.pages.push({ receiver, status, labels, annotations, firedMs, arrivedMs });
    }
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

const alertsSchema = z.array(
  z.object({
    labels: z.record(z.string(), z.string()),
    status: z.object({ state: z.string(), inhibitedBy: z.array(z.string()) }),
  }),
);

export interface AlertmanagerServer {
  /** HOST:PORT */
  readonly address: string;
  /** All alerts that it knows, and whether another one keeps them quiet. */
  alerts(): Promise<z.output<typeof alertsSchema>>;
  stop(): Promise<void>;
}

/** Starts it; resolves when it is ready. Receivers of the example are reached at `url`. */
export async function startAlertmanager(url: string): Promise<AlertmanagerServer> {
  const folder = mkdtempSync(join(tmpdir(), 'rxscope-alertmanager-'));
  const file = join(folder, 'alertmanager.yml');
  writeFileSync(file, exampleFor(url));
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(
    'prometheus-alertmanager',
    [
      `--config.file=${file}`,
      `--storage.path=${join(folder, 'data')}`,
      `--web.listen-address=${address}`,
      // Alone: it would speak to others of its kind.
      '--cluster.listen-address=',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const kill = (): boolean => child.kill('SIGKILL');
  process.once('exit', kill);
  let log = '';
  let ended = false;
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  child.once('exit', () => {
    ended = true;
  });
  // Without the program there is only this event, and no exit.
  child.once('error', (error) => {
    ended = true;
    log += String(error);
  });

  const server: AlertmanagerServer = {
    address,
    alerts: async () =>
      alertsSchema.parse(await (await fetch(`http://${address}/api/v2/alerts`)).json()),
    stop: async () => {
      process.off('exit', kill);
      if (!ended) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };

  const deadline = Date.now() + START_MS_MAX;
  while (!ended && Date.now() < deadline) {
    // Refused until it listens.
    const ready = await fetch(`http://${address}/-/ready`).catch(() => undefined);
    if (ready?.ok) return server;
    await sleep(100);
  }
  await server.stop();
  throw new Error(`Alertmanager does not start; it says:\n${log}`);
}

const exampleSchema = z.looseObject({
  route: z.looseObject({ group_wait: z.string(), group_interval: z.string() }),
  receivers: z.array(
    z.looseObject({ webhook_configs: z.array(z.looseObject({ url: z.url() })).default([]) }),
  ),
});

/** The example as it is shipped, with shorter times and with receivers below this URL. */
function exampleFor(url: string): string {
  const example = exampleSchema.parse(parse(alertsFile('alertmanager.example.yaml')));
  Object.assign(example.route, { group_wait: WAIT, group_interval: WAIT });
  for (const webhook of example.receivers.flatMap((receiver) => receiver.webhook_configs))
    webhook.url = new URL(new URL(webhook.url).pathname, url).href;
  return stringify(example);
}
