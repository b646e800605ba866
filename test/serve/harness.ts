// What the HTTP tests share: a source in place of the agent, a server on a free loopback port, and
// a client that shows the bytes as they were sent (fetch would decompress them).

import { EventEmitter, once } from 'node:events';
import { type IncomingHttpHeaders, type RequestOptions, request } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { onTestFinished } from 'vitest';
import { singleFlight } from '../../src/agent/single_flight.ts';
import type { Snapshot } from '../../src/metrics/model.ts';
import type { NamedDrop } from '../../src/readings/drop_events.ts';
import type { NamedOutlier } from '../../src/readings/outliers.ts';
import { type AppOptions, buildApp } from '../../src/serve/app.ts';
import { listen } from '../../src/serve/listen.ts';
import type { ServeSource } from '../../src/serve/source.ts';

export const SNAPSHOT: Snapshot = [
  {
    type: 'counter',
    name: 'rxscope_received_packets_total',
    help: 'Packets received.',
    samples: [{ labels: { device: 'eth0' }, value: 100_003 }],
  },
];

const EVENT = { time: '2026-01-02T03:04:05.678Z', device: 'eth0', cpu: 1, pid: 101, comm: 'named' };
export const OUTLIER: NamedOutlier = { ...EVENT, probe: 'irq_to_softirq', seconds: 0.131071 };
export const DROP: NamedDrop = {
  ...EVENT,
  reason: 'NO_SOCKET',
  protocol: 'udp',
  bytes: 61,
  local_port: 10_007,
};

/** Stands for the kernel side: the agent that reads histograms, probes, outliers and drops. */
export function fakeSource(overrides: Partial<ServeSource> = {}): ServeSource {
  return {
    gather: async () => SNAPSHOT,
    ready: () => true,
    version: '1.2.3',
    probes: () => [
      { id: 'irq_to_softirq', up: true, reason: '' },
      { id: 'receive_to_socket', up: false, reason: 'No permission: needs CAP_BPF.' },
    ],
    outliers: () => [OUTLIER],
    drops: () => [DROP],
    ...overrides,
  };
}

export interface Served {
  readonly app: FastifyInstance;
  readonly url: string;
  /** How many requests have reached their route so far. */
  arrived(): number;
}

export async function serve(
  source: ServeSource = fakeSource(),
  options: Partial<AppOptions> = {},
): Promise<Served> {
  const app = buildApp(source, { requestsInFlightMax: 40, ...options });
  let arrived = 0;
  app.addHook('onRequest', async () => {
    arrived++;
  });
  onTestFinished(() => app.close());
  return { app, url: await listen(app, '127.0.0.1:0'), arrived: () => arrived };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
}

export async function ask(url: string, options: RequestOptions = {}): Promise<Answer> {
  const sent = request(url, options).end();
  const [response] = await once(sent, 'response');
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const { statusCode: status, headers } = response;
  return { status, headers, body, text: body.toString() };
}

/** A gather that a test lets finish when it likes. */
export function gatedGather() {
  const gate = new EventEmitter();
  const signals: AbortSignal[] = [];
  return {
    /** One for each gather that was started. */
    signals,
    /** Lets the gathers that run now finish; later ones wait again. */
    open: () => gate.emit('open'),
    /** Shared by those who ask at the same time, as the agent's. */
    gather: singleFlight(async (signal): Promise<Snapshot> => {
      signals.push(signal);
      await once(gate, 'open', { signal });
      return [...SNAPSHOT];
    }),
  };
}
