// The server's end: what is in flight is answered, and no client can hold it up.

import { once } from 'node:events';
import { Agent } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { ask, fakeSource, gatedGather, type Served, serve } from './harness.ts';

/** From a shutdown's begin to the end of the process; see the agent's promise of 2 s. */
const CLOSE_MAX_MS = 2_000;

async function closeTimed({ app }: Served): Promise<number> {
  const startMs = performance.now();
  await app.close();
  return performance.now() - startMs;
}

async function openSocket(url: string, bytes: string) {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  onTestFinished(() => {
    socket.destroy();
  });
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(bytes);
  return socket;
}

describe('close', () => {
  test('finishes a scrape in flight, though its connection is kept alive', async () => {
    const gated = gatedGather();
    const served = await serve(fakeSource({ gather: gated.gather }));
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    const scrape = ask(`${served.url}/metrics`, { agent });
    await vi.waitFor(() => expect(gated.signals).toHaveLength(1));

    const closed = closeTimed(served);
    await vi.waitFor(() => expect(served.app.server.listening).toBe(false));
    gated.open();
    const answer = await scrape;
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('100003');
    expect(answer.headers.connection).toBe('close');
    // Long before the idle connection would be closed by force.
    expect(await closed).toBeLessThan(1_000);
  });

  test('answers 503 to a scrape whose gather does not end in time', async () => {
    const gated = gatedGather();
    const served = await serve(fakeSource({ gather: gated.gather }));
    const scrape = ask(`${served.url}/metrics`);
    await vi.waitFor(() => expect(gated.signals).toHaveLength(1));
    const closed = closeTimed(served);
    const answer = await scrape;
    expect(answer.status).toBe(503);
    expect(answer.text).toMatch(/^rxscope is shutting down/);
    expect(gated.signals[0]?.aborted).toBe(true);
    expect(await closed).toBeLessThan(CLOSE_MAX_MS);
  });

  test('is not held up by an idle keep-alive connection', async () => {
    const served = await serve();
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    expect((await ask(`${served.url}/metrics`, { agent })).status).toBe(200);
    expect(await closeTimed(served)).toBeLessThan(1_000);
  });

  test.each([
    ['says nothing', ''],
    ['stops in the middle of its headers', 'GET /metrics HTTP/1.1\r\nHost:'],
    [
      'stops in the middle of its body',
      'GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 97\r\n\r\n{',
    ],
  ])('is not held up by a client that %s', async (_what, bytes) => {
    const served = await serve();
    const connected = once(served.app.server, 'connection');
    const socket = await openSocket(served.url, bytes);
    const ended = once(socket, 'close');
    await connected;
    expect(await closeTimed(served)).toBeLessThan(CLOSE_MAX_MS);
    socket.resume();
    await ended;
  });

  test('takes no new connection, and is harmless when called twice', async () => {
    const served = await serve();
    await Promise.all([served.app.close(), served.app.close()]);
    await expect(ask(`${served.url}/-/healthy`)).rejects.toThrow('ECONNREFUSED');
  });
});
