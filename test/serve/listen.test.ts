// Real sockets: each refusal here is the kernel's own.

import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { pino } from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import { buildApp } from '../../src/serve/app.ts';
import { ListenError, listen, parseListenAddress } from '../../src/serve/listen.ts';
import { ask, fakeSource } from './harness.ts';

function newApp() {
  const app = buildApp(fakeSource(), { requestsInFlightMax: 40 });
  onTestFinished(() => app.close());
  return app;
}

async function refusal(address: string, app = newApp()): Promise<ListenError> {
  const error = await listen(app, address).catch((reason: unknown) => reason);
  if (!(error instanceof ListenError)) throw new Error(`expected a ListenError, got ${error}`);
  return error;
}

describe('listen', () => {
  test.each([
    ['127.0.0.1:0', /^http:\/\/127\.0\.0\.1:\d+$/],
    ['[::1]:0', /^http:\/\/\[::1\]:\d+$/],
    ['localhost:0', /^http:\/\/127\.0\.0\.1:\d+$/],
  ])('listens on %s and returns a URL that answers', async (address, pattern) => {
    const url = await listen(newApp(), address);
    expect(url).toMatch(pattern);
    expect((await ask(`${url}/-/healthy`)).status).toBe(200);
  });

  test('listens on every address, of either family, when there is no host', async () => {
    const url = await listen(newApp(), ':0');
    const { port } = new URL(url);
    for (const host of ['127.0.0.1', '[::1]']) {
      expect((await ask(`http://${host}:${port}/-/healthy`)).status).toBe(200);
    }
  });

  test('logs the address that was set, also where that is every one of the host', async () => {
    const lines: string[] = [];
    const stream = { write: (line: string) => void lines.push(line) };
    const app = buildApp(fakeSource(), { requestsInFlightMax: 40, logger: pino({}, stream) });
    onTestFinished(() => app.close());
    const url = await listen(app, '0.0.0.0:0');
    const messages = lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
    expect(messages[0]).toBe(`listening on ${url}`);
    expect(url).toMatch(/^http:\/\/0\.0\.0\.0:\d+$/);
  });

  test('says who has the port, and what to do, when the address is in use', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => {
      other.close();
    });
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const app = newApp();
    const error = await refusal(`127.0.0.1:${port}`, app);
    expect(error.code).toBe('EADDRINUSE');
    expect(error.message).toBe(
      `cannot listen on 127.0.0.1:${port}: EADDRINUSE\n` +
        `  Another process listens there; \`ss -ltnp 'sport = :${port}'\` shows which.\n` +
        '  Stop it, or choose another address with --web.listen-address.',
    );
    // A failure leaves the app usable.
    expect(await listen(app, '127.0.0.1:0')).toMatch(/^http/);
  });

  test('names the capability when the port is privileged', async () => {
    const app = newApp();
    await app.ready();
    const isRoot = process.geteuid?.() === 0;
    // An ordinary user for as long as bind() takes: root may bind any port.
    if (isRoot) process.seteuid?.(65_534);
    const error = await refusal('127.0.0.1:1', app).finally(() => {
      if (isRoot) process.seteuid?.(0);
    });
    expect(error.message).toBe(
      'cannot listen on 127.0.0.1:1: EACCES\n' +
        '  Ports below net.ipv4.ip_unprivileged_port_start (1024) need CAP_NET_BIND_SERVICE.\n' +
        '  Choose a port from 1024 on with --web.listen-address, or grant that capability.',
    );
  });

  test('says that no interface has the address', async () => {
    const error = await refusal('203.0.113.7:0');
    expect(error.message).toBe(
      'cannot listen on 203.0.113.7:0: EADDRNOTAVAIL\n' +
        '  No interface of this host has that address; `ip address` shows those there are.\n' +
        '  Choose one of them, 127.0.0.1 or all (:PORT) with --web.listen-address.',
    );
  });

  test('says that a name has no address', async () => {
    // An empty label: no resolver needs to be asked.
    const error = await refusal('no..such.host:0');
    expect(error.message).toBe(
      'cannot listen on no..such.host:0: ENOTFOUND\n' +
        '  The name no..such.host has no address that this host can find.\n' +
        '  Give an address instead, such as 127.0.0.1:10750, with --web.listen-address.',
    );
  });
});

describe('parseListenAddress', () => {
  test.each([
    ['127.0.0.1:10750', '127.0.0.1', 10_750],
    ['[::1]:10750', '::1', 10_750],
    ['[fe80::1%eth0]:0', 'fe80::1%eth0', 0],
    [':65535', '', 65_535],
    ['metrics.example:1', 'metrics.example', 1],
  ])('reads %s', (address, host, port) => {
    expect(parseListenAddress(address)).toEqual({ host, port });
  });

  test.each([
    '',
    ':',
    '10750',
    'localhost',
    'localhost:',
    'localhost:http',
    '127.0.0.1:65536',
    '127.0.0.1:-1',
    '::1:10750',
    '[::1]',
    '[]:10750',
    'http://127.0.0.1:10750',
    '127.0.0.1:10750/metrics',
    'a b:1',
  ])('refuses %j and shows the forms', (address) => {
    expect(() => parseListenAddress(address)).toThrow(
      new ListenError(
        'ERR_LISTEN_ADDRESS',
        `cannot listen on ${JSON.stringify(address)}: not an address with a port\n` +
          '  Expected HOST:PORT, [IPV6]:PORT or :PORT, with a port from 0 to 65535.\n' +
          '  For example --web.listen-address=127.0.0.1:10750 or --web.listen-address=[::1]:10750.',
      ),
    );
  });
});
