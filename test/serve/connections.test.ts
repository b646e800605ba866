// What connections may take, over real sockets: requests outstanding, time to send and to read, answers that
// are not read, connections themselves.

import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { readWebConfig } from '../../src/config/web_config_file.ts';
import { Access } from '../../src/serve/access.ts';
import { Connections } from '../../src/serve/connections.ts';
import {
  connectionsMax,
  openFilesMax,
  RECEIVE_MS_MAX,
  REQUESTS_PER_CONNECTION_MAX,
  SEND_MS_MAX,
  UNSENT_BYTES_MAX,
} from '../../src/serve/limits.ts';
import { certificates } from './certificates.ts';
import { ask, fakeSource, gatedGather, OUTLIER, serve } from './harness.ts';

const SLACK_MS = 4_000;
const pki = certificates();
beforeAll(() => {
  pki.authority('ca');
  pki.issue('server', { sans: 'IP:127.0.0.1' });
});

/** More than the kernel keeps for a reader who does not read. */
const LARGE = [{ ...OUTLIER, comm: 'x'.repeat(12 * 1024 * 1024) }];
const PAGE = 'GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n';

class Client {
  readonly socket: Socket;
  received = '';
  closed = false;
  readonly #openedMs = performance.now();
  livedMs = 0;

  constructor(socket: Socket, text: string, read = true) {
    this.socket = socket;
    if (read) {
      socket.on('data', (chunk: Buffer) => {
        this.received += chunk.toString();
      });
    }
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
      this.livedMs = performance.now() - this.#openedMs;
    });
    socket.write(text);
    onTestFinished(() => {
      socket.destroy();
    });
  }

  get answers(): number {
    return this.received.split('HTTP/1.1 200 OK\r\n').length - 1;
  }
}

function client(url: string, text: string, read = true): Client {
  const { port, hostname } = new URL(url);
  return new Client(connect(Number(port), hostname), text, read);
}

describe('requests on one connection', () => {
  test('are answered as many at a time as are allowed', async () => {
    const { url } = await serve();
    const one = client(url, PAGE.repeat(REQUESTS_PER_CONNECTION_MAX));
    await vi.waitFor(() => expect(one.answers).toBe(REQUESTS_PER_CONNECTION_MAX));
    one.socket.write(PAGE.repeat(REQUESTS_PER_CONNECTION_MAX));
    await vi.waitFor(() => expect(one.answers).toBe(2 * REQUESTS_PER_CONNECTION_MAX));
    expect(one.closed).toBe(false);
  });

  test.each([
    ['a path', PAGE],
    ['a path that is not there', PAGE.replace('/-/healthy', '/nowhere')],
    ['a path that cannot be decoded', PAGE.replace('/-/healthy', '/%zz')],
    ['no Host', PAGE.replace('Host: localhost\r\n', '')],
    ['an expectation', PAGE.replace('\r\n\r\n', '\r\nExpect: wonders\r\n\r\n')],
    ['a question whether to go on', PAGE.replace('\r\n\r\n', '\r\nExpect: 100-continue\r\n\r\n')],
  ])('for %s are too many when one more comes: nothing more is made of them', async (_, text) => {
    const { url, app } = await serve();
    let made = 0;
    app.server.on('request', () => {
      made++;
    });
    const one = client(url, text.repeat(3_001));
    await vi.waitFor(() => expect(one.closed).toBe(true));
    expect(made).toBeLessThanOrEqual(REQUESTS_PER_CONNECTION_MAX + 2);
    expect((await ask(`${url}/-/healthy`)).status).toBe(200);
  });

  test('over TLS are bounded alike', async () => {
    const yaml = 'tls_server_config: { cert_file: server.pem, key_file: server.key }\n';
    const read = readWebConfig(pki.write('web.yml', yaml));
    if ('problems' in read) throw new Error(read.problems.join('\n'));
    const log = { debug: () => {} } as unknown as ConstructorParameters<typeof Access>[1];
    const { url } = await serve(fakeSource(), { access: new Access(() => read.config, log) });
    const encrypted = (text: string): Client => {
      const { port } = new URL(url);
      const to = { port: Number(port), host: '127.0.0.1', rejectUnauthorized: false };
      return new Client(connectTls(to), text);
    };
    const flood = encrypted(PAGE.repeat(3_001));
    await vi.waitFor(() => expect(flood.closed).toBe(true));
    const honest = encrypted(PAGE);
    await vi.waitFor(() => expect(honest.answers).toBe(1));
  });
});

describe('time', () => {
  test.each([
    ['nothing', ''],
    ['half a request', 'GET / HT'],
    ['headers without an end', 'GET / HTTP/1.1\r\nHost: localhost\r\n'],
    ['a body without an end', 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 97\r\n\r\n{'],
  ])('is up for who sends %s', async (_what, text) => {
    const { url } = await serve();
    const one = client(url, text);
    await vi.waitFor(() => expect(one.closed).toBe(true), { timeout: RECEIVE_MS_MAX + SLACK_MS });
    expect(one.livedMs).toBeGreaterThan(RECEIVE_MS_MAX - 500);
  });

  test('is up for who sends a byte at a time, also in the second request', async () => {
    const { url } = await serve();
    const one = client(url, PAGE);
    await vi.waitFor(() => expect(one.answers).toBe(1));
    const dripping = setInterval(() => one.socket.write('G'), 500);
    onTestFinished(() => clearInterval(dripping));
    await vi.waitFor(() => expect(one.closed).toBe(true), { timeout: RECEIVE_MS_MAX + SLACK_MS });
  });

  test('is not up for who has been answered, and is idle', async () => {
    const { url } = await serve();
    const other = client(url, '');
    const one = client(url, PAGE);
    await vi.waitFor(() => expect(other.closed).toBe(true), { timeout: RECEIVE_MS_MAX + SLACK_MS });
    one.socket.write(PAGE);
    await vi.waitFor(() => expect(one.answers).toBe(2));
  });

  test('is up for who does not read, who keeps no place of a scrape meanwhile', async () => {
    const samples = [{ labels: { device: 'x'.repeat(12 * 1024 * 1024) }, value: 1 }];
    const gather = async () => [
      { type: 'counter', name: 'x_total', help: 'Large.', samples } as const,
    ];
    const { url, app } = await serve(fakeSource({ gather }), { requestsInFlightMax: 1 });
    const ended = once(app.server, 'connection').then(async ([socket]) => {
      const startMs = performance.now();
      await once(socket, 'close');
      return performance.now() - startMs;
    });
    client(url, 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n', false);
    // Until it has its answer it has the place.
    const status = async () => expect((await ask(`${url}/metrics`)).status).toBe(200);
    await vi.waitFor(status, { timeout: SLACK_MS });
    expect(await ended).toBeLessThan(SEND_MS_MAX + SLACK_MS);
  });
});

test('answers that are not read are bounded in all, and who takes most goes first', async () => {
  const { url, app } = await serve(fakeSource({ outliers: () => LARGE }));
  const closed: number[] = [];
  let count = 0;
  app.server.on('connection', (socket: Socket) => {
    const number = count++;
    socket.on('close', () => closed.push(number));
  });
  const text = 'GET /api/v1/outliers HTTP/1.1\r\nHost: localhost\r\n\r\n';
  // The second asks twice; each answer takes more than the kernel does.
  const allowed = 16;
  for (let i = 0; i < allowed + 2; i++) {
    client(url, i === 1 ? text.repeat(2) : text, false);
    await vi.waitFor(() => expect(count).toBe(i + 1));
  }
  await vi.waitFor(() => expect(closed.length).toBeGreaterThanOrEqual(2));
  expect(closed[0]).toBe(1);
  expect(12 * 1024 * 1024 * allowed).toBeGreaterThan(UNSENT_BYTES_MAX);
  expect((await ask(`${url}/-/healthy`)).status).toBe(200);
});

describe('connections', () => {
  async function bounded(max: number): Promise<{ server: Server; url: string }> {
    const connections = new Connections(max);
    const server = createServer((request, response) => {
      if (connections.admits(request, response)) response.end('ok');
    });
    connections.watch(server, false);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      connections.closeAll();
      server.close();
    });
    return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  }

  test('that are silent make room for others, the oldest first', async () => {
    const { url } = await bounded(7);
    const silent: Client[] = [];
    for (let i = 0; i < 7; i++) {
      const one = client(url, '');
      await once(one.socket, 'connect');
      silent.push(one);
    }
    expect((await ask(url)).status).toBe(200);
    await vi.waitFor(() => expect(silent[0]?.closed).toBe(true));
    expect(silent.slice(1).map(({ closed }) => closed)).toEqual(Array(6).fill(false));
  });

  test('that have asked are kept while there are silent ones', async () => {
    const { url } = await bounded(7);
    const kept = client(url, PAGE);
    await vi.waitFor(() => expect(kept.answers).toBe(1));
    const silent = Array.from({ length: 101 }, () => client(url, ''));
    await vi.waitFor(() => expect(silent.filter(({ closed }) => closed)).toHaveLength(101 - 6));
    kept.socket.write(PAGE);
    await vi.waitFor(() => expect(kept.answers).toBe(2));
  });

  test('may be a thousand, and half of the descriptors where these are few', () => {
    expect(connectionsMax(40, 1_048_576)).toBe(1_024);
    expect(connectionsMax(1_000, 1_048_576)).toBe(4_000);
    expect(connectionsMax(40, 1_024)).toBe(512);
    expect(connectionsMax(40, 20)).toBe(16);
    expect(openFilesMax()).toBeGreaterThan(100);
  });
});

test('a scrape that waits for its metrics waits as long as it likes, others asking meanwhile', async () => {
  const gated = gatedGather();
  const { url } = await serve(fakeSource({ gather: gated.gather }));
  const headers = { 'x-prometheus-scrape-timeout-seconds': '60' };
  const scrape = ask(`${url}/metrics`, { headers });
  const silent = client(url, '');
  await vi.waitFor(() => expect(silent.closed).toBe(true), { timeout: RECEIVE_MS_MAX + SLACK_MS });
  gated.open();
  expect((await scrape).status).toBe(200);
});
