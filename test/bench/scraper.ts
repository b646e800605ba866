// Scrapes a process and tells what each scrape cost: CPU of that process, and the time until its
// last byte was here. Keeps its connection as Prometheus does.

import { Agent, get } from 'node:http';
import { processCpuMs } from './machine.ts';

export interface Scrape {
  readonly status: number;
  readonly body: Buffer;
  readonly latencyMs: number;
  readonly cpuMs: number;
}

/** What Prometheus sends for each format. */
export const ACCEPT = {
  text: 'text/plain;version=0.0.4',
  OpenMetrics: 'application/openmetrics-text;version=1.0.0',
  protobuf:
    'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited',
} as const;

export type Format = keyof typeof ACCEPT;

const connections = new Agent({ keepAlive: true });

/** `settleMs`: what the process does so long after the last byte is of this scrape, too. */
export function scrape(
  url: string,
  pid: number,
  format: Format,
  gzip: boolean,
  settleMs = SETTLE_MS,
): Promise<Scrape> {
  const headers = { accept: ACCEPT[format], ...(gzip ? { 'accept-encoding': 'gzip' } : {}) };
  const cpuBeforeMs = processCpuMs(pid);
  const startedMs = performance.now();
  return new Promise((resolve, reject) => {
    get(`${url}/metrics`, { agent: connections, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const latencyMs = performance.now() - startedMs;
        const body = Buffer.concat(chunks);
        setTimeout(() => {
          const cpuMs = processCpuMs(pid) - cpuBeforeMs;
          resolve({ status: response.statusCode ?? 0, body, latencyMs, cpuMs });
        }, settleMs);
      });
    }).once('error', reject);
  });
}

const SETTLE_MS = 20;
