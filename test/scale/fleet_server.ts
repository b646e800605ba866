// A child process: many simulated hosts behind one port of loopback, at /<host>/metrics. It is apart so that
// its own cost can be told from that of Prometheus. Usage: tsx fleet_server.ts TEMPLATE.json HOSTS. Prints its
// URL; ends when its standard input does.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { encoderFor } from '../../src/metrics/negotiate.ts';
import { SimulatedHost } from './simulated_host.ts';
import type { Template } from './template.ts';

const [, , file = '', hosts = '0'] = process.argv;
const template = JSON.parse(readFileSync(file, 'utf8')) as Template;
const fleet = Array.from({ length: Number(hosts) }, (_, host) => new SimulatedHost(template, host));
const startedMs = Date.now();

const server = http.createServer((request, response) => {
  const host = fleet[Number(/^\/(\d+)\/metrics$/.exec(request.url ?? '')?.[1])];
  if (host === undefined || host.fault === 'down') {
    response.writeHead(503).end();
    return;
  }
  const encoder = encoderFor(request.headers.accept);
  // All have been running for a while.
  const body = encoder.encode(host.snapshot(60_000 + Date.now() - startedMs));
  response.writeHead(200, { 'content-type': encoder.contentType, 'content-encoding': 'gzip' });
  response.end(gzipSync(body, { level: 1 }));
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
process.stdin.resume().once('end', () => {
  server.closeAllConnections();
  server.close();
});
