// GET /metrics over real HTTP: format, compression, sharing, deadline, cap, and who hangs up.

import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test, vi } from 'vitest';
import { encoderFor } from '../../src/metrics/negotiate.ts';
import { ask, fakeSource, gatedGather, SNAPSHOT, serve } from './harness.ts';

const PROTOBUF =
  'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited';

describe('GET /metrics', () => {
  test.each([
    ['text', undefined, /^text\/plain;.*version=0\.0\.4/],
    ['OpenMetrics', 'application/openmetrics-text;version=1.0.0', /^application\/openmetrics-text/],
    ['protobuf', PROTOBUF, /^application\/vnd\.google\.protobuf/],
  ])('answers in %s with the type that the encoder names', async (_format, accept, type) => {
    const { url } = await serve();
    const answer = await ask(`${url}/metrics`, accept ? { headers: { accept } } : {});
    const encoder = encoderFor(accept);
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toMatch(type);
    expect(answer.headers['content-type']).toBe(encoder.contentType);
    expect(answer.headers.vary).toBe('Accept, Accept-Encoding');
    expect(answer.headers['content-encoding']).toBeUndefined();
    expect(answer.body).toEqual(Buffer.from(encoder.encode(SNAPSHOT)));
  });

  test.each([undefined, PROTOBUF])(
    'gzips the very same bytes when asked (Accept: %s)',
    async (accept) => {
      const { url } = await serve();
      const headers = { 'accept-encoding': 'gzip', ...(accept ? { accept } : {}) };
      const answer = await ask(`${url}/metrics`, { headers });
      expect(answer.headers['content-encoding']).toBe('gzip');
      expect(answer.headers['content-length']).toBe(String(answer.body.length));
      expect(gunzipSync(answer.body)).toEqual(Buffer.from(encoderFor(accept).encode(SNAPSHOT)));
    },
  );

  test('does not gzip when gzip is forbidden', async () => {
    const { url } = await serve();
    const headers = { 'accept-encoding': 'gzip;q=0, *' };
    const answer = await ask(`${url}/metrics`, { headers });
    expect(answer.headers['content-encoding']).toBeUndefined();
    expect(answer.text).toContain('100003');
  });

  test('answers HEAD with the headers of GET and no body', async () => {
    const { url } = await serve();
    const get = await ask(`${url}/metrics`);
    const head = await ask(`${url}/metrics`, { method: 'HEAD' });
    expect(head.status).toBe(200);
    expect(head.headers['content-type']).toBe(get.headers['content-type']);
    expect(head.headers['content-length']).toBe(get.headers['content-length']);
    expect(head.body).toHaveLength(0);
  });

  test('gathers once for 17 concurrent scrapes, and afresh for the next', async () => {
    const gated = gatedGather();
    const { url, arrived } = await serve(fakeSource({ gather: gated.gather }));
    const scrapes = Array.from({ length: 17 }, () => ask(`${url}/metrics`));
    await vi.waitFor(() => expect(arrived()).toBe(17));
    gated.open();
    const answers = await Promise.all(scrapes);
    expect(answers.map(({ status }) => status)).toEqual(Array(17).fill(200));
    expect(gated.signals).toHaveLength(1);

    const next = ask(`${url}/metrics`);
    await vi.waitFor(() => expect(gated.signals).toHaveLength(2));
    gated.open();
    expect((await next).status).toBe(200);
  });

  test('gives up at the deadline with a 503, and leaves the shared gather to the others', async () => {
    const gated = gatedGather();
    const { url, arrived } = await serve(fakeSource({ gather: gated.gather }));
    const patient = ask(`${url}/metrics`);
    await vi.waitFor(() => expect(arrived()).toBe(1));
    const headers = { 'x-prometheus-scrape-timeout-seconds': '0.6' };
    const late = await ask(`${url}/metrics`, { headers });
    expect(late.status).toBe(503);
    expect(late.headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(late.text).toMatch(/^No metrics within 0\.1 s: .*\n.*\n.*scrape_timeout/);
    expect(gated.signals.map(({ aborted }) => aborted)).toEqual([false]);
    gated.open();
    expect((await patient).status).toBe(200);
  });

  test('aborts the gather when the only scrape is past its deadline, then gathers afresh', async () => {
    const gated = gatedGather();
    const { url } = await serve(fakeSource({ gather: gated.gather }));
    const headers = { 'x-prometheus-scrape-timeout-seconds': '0.6' };
    expect((await ask(`${url}/metrics`, { headers })).status).toBe(503);
    expect(gated.signals.map(({ aborted }) => aborted)).toEqual([true]);
    const next = ask(`${url}/metrics`);
    await vi.waitFor(() => expect(gated.signals).toHaveLength(2));
    gated.open();
    expect((await next).status).toBe(200);
  });

  test('aborts the gather when the scraper hangs up', async () => {
    const gated = gatedGather();
    const { url } = await serve(fakeSource({ gather: gated.gather }));
    const scrape = request(`${url}/metrics`).end();
    scrape.on('error', () => {});
    await vi.waitFor(() => expect(gated.signals).toHaveLength(1));
    scrape.destroy();
    await vi.waitFor(() => expect(gated.signals[0]?.aborted).toBe(true));
  });

  test('refuses the scrape past the cap at once, and takes the next when a place is free', async () => {
    const gated = gatedGather();
    const source = fakeSource({ gather: gated.gather });
    const { url, arrived } = await serve(source, { requestsInFlightMax: 3 });
    const scrapes = Array.from({ length: 3 }, () => ask(`${url}/metrics`));
    await vi.waitFor(() => expect(arrived()).toBe(3));
    const refused = await ask(`${url}/metrics`);
    expect(refused.status).toBe(503);
    expect(refused.headers['retry-after']).toBe('1');
    expect(refused.text).toMatch(/^3 scrapes are in flight already, which is the cap\.\n/);
    expect(refused.text).toContain('raise web.requests_in_flight_max');
    // The cap is for scrapes: health is answered all the same.
    expect((await ask(`${url}/-/healthy`)).status).toBe(200);
    gated.open();
    expect((await Promise.all(scrapes)).map(({ status }) => status)).toEqual([200, 200, 200]);

    const next = ask(`${url}/metrics`);
    await vi.waitFor(() => expect(gated.signals).toHaveLength(2));
    gated.open();
    expect((await next).status).toBe(200);
  });

  test('frees the places of scrapes over one keep-alive connection', async () => {
    const { url } = await serve(fakeSource(), { requestsInFlightMax: 1 });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 13; i++) {
      expect((await ask(`${url}/metrics`, { agent })).status).toBe(200);
    }
    agent.destroy();
  });

  test('says in a 500 what went wrong when the source breaks its promise', async () => {
    const gather = () => Promise.reject(new Error('the map is gone'));
    const { url } = await serve(fakeSource({ gather }));
    const answer = await ask(`${url}/metrics`);
    expect(answer.status).toBe(500);
    expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(answer.text).toMatch(/^Cannot answer GET \/metrics: the map is gone\n/);
  });

  test('answers whatever the headers hold', async () => {
    const { url } = await serve();
    const long = ','.repeat(1_999);
    for (const value of ['', long, `${'a/b;q=2,'.repeat(211)}`, ';;==,,"']) {
      const headers = {
        accept: value,
        'accept-encoding': value,
        'x-prometheus-scrape-timeout-seconds': value,
      };
      expect((await ask(`${url}/metrics`, { headers })).status).toBe(200);
    }
  });

  test('refuses headers of more than 8 KiB with a 431', async () => {
    const { url } = await serve();
    const sent = request(`${url}/metrics`, { headers: { accept: 'a'.repeat(8_209) } }).end();
    const [response] = await once(sent, 'response');
    response.resume();
    expect(response.statusCode).toBe(431);
  });
});
