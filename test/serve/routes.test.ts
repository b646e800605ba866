// Every route but /metrics, over real HTTP: health, landing page, API, and paths that are not there.

import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { PATHS } from '../../src/serve/paths.ts';
import { ask, fakeSource, serve } from './harness.ts';

describe('health and readiness', () => {
  test('is healthy whenever it answers', async () => {
    const { url } = await serve(fakeSource({ ready: () => false }));
    const answer = await ask(`${url}/-/healthy`);
    expect([answer.status, answer.text]).toEqual([200, 'rxscope is healthy.\n']);
  });

  test('is ready only when the source says so', async () => {
    let ready = false;
    const { url } = await serve(fakeSource({ ready: () => ready }));
    const before = await ask(`${url}/-/ready`);
    expect([before.status, before.text]).toEqual([
      503,
      'rxscope is not ready: its probes are being attached, or it is shutting down.\n',
    ]);
    ready = true;
    const after = await ask(`${url}/-/ready`);
    expect([after.status, after.text]).toEqual([200, 'rxscope is ready.\n']);
  });
});

describe('the landing page', () => {
  test('names the program, its version, its endpoints and the state of each probe', async () => {
    const { url } = await serve();
    const { headers, text } = await ask(`${url}/`);
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
    expect(text).toContain('<h1>rxscope</h1>');
    expect(text).toContain('Version 1.2.3 &middot; ready');
    expect(text).toContain('1 of 2 up');
    for (const { path } of PATHS.slice(1)) expect(text).toContain(`<a href="${path}">`);
    expect(text).toMatch(/irq_to_softirq<\/th><td class="up">up</);
    expect(text).toMatch(/receive_to_socket<\/th><td class="down">not up<.*needs CAP_BPF\./);
  });

  test('has what is switched off as such, and counts it neither up nor down', async () => {
    const probes = () => [
      { id: 'irq_to_softirq', up: true, reason: '' },
      { id: 'napi_poll', up: false, off: true as const, reason: 'switched off' },
    ];
    const { url } = await serve(fakeSource({ probes }));
    const { text } = await ask(`${url}/`);
    expect(text).toContain('1 of 1 up');
    expect(text).toMatch(/napi_poll<\/th><td class="quiet">off<.*switched off</);
  });

  test('escapes HTML in whatever the agent says', async () => {
    const evil = `"><script>alert('x')</script>&amp;`;
    const probes = () => [{ id: evil, up: false, reason: evil }];
    const { url } = await serve(fakeSource({ probes, version: evil }));
    const { text } = await ask(`${url}/`);
    const escaped = '&#34;&#62;&#60;script&#62;alert(&#39;x&#39;)&#60;/script&#62;&#38;amp;';
    expect(text).not.toContain('<script');
    expect(text.split(escaped)).toHaveLength(1 + 3);
  });

  test('loads nothing from elsewhere and allows no script', async () => {
    const { url } = await serve();
    const { headers, text } = await ask(`${url}/`);
    const policy = headers['content-security-policy'];
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain('unsafe');
    expect(policy).not.toContain('script-src');
    expect(text).not.toMatch(/https?:|src=|@import|url\(|<script|\bon\w+=|style=/);
  });

  test('says so when no probe is switched on', async () => {
    const { url } = await serve(fakeSource({ probes: () => [] }));
    expect((await ask(`${url}/`)).text).toContain('No probe is switched on.');
  });
});

describe('the API', () => {
  test('lists probes, outliers and drops as JSON', async () => {
    const source = fakeSource();
    const { url } = await serve(source);
    const probes = await ask(`${url}/api/v1/probes`);
    expect(probes.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(JSON.parse(probes.text)).toEqual({ probes: source.probes() });
    const outliers = await ask(`${url}/api/v1/outliers`);
    expect(JSON.parse(outliers.text)).toEqual({ outliers: source.outliers() });
    const drops = await ask(`${url}/api/v1/drops`);
    expect(JSON.parse(drops.text)).toEqual({ drops: source.drops() });
  });
});

describe('the log', () => {
  test('has a line a request at debug level, and none above it', async () => {
    const lines: string[] = [];
    const logger = pino({ level: 'debug' }, { write: (line) => lines.push(line) });
    const { app, url } = await serve(fakeSource(), { logger });
    lines.length = 0;
    for (let i = 0; i < 3; i++) await ask(`${url}/metrics`);
    await ask(`${url}/nowhere`);
    await app.close();
    const answered = lines.map((line) => JSON.parse(line)).filter(({ url }) => url !== undefined);
    expect(answered.map(({ status }) => status)).toEqual([200, 200, 200, 404]);
    expect(
      lines.filter((line) => JSON.parse(line).level > (pino.levels.values.debug ?? 0)),
    ).toEqual([]);
  });
});

describe('paths', () => {
  test.each(PATHS)(
    '$path answers GET and HEAD, and names them when asked otherwise',
    async ({ path }) => {
      const { url } = await serve();
      for (const method of ['GET', 'HEAD']) {
        const answer = await ask(url + path, { method });
        expect(answer.status).toBe(200);
        expect(answer.headers['x-content-type-options']).toBe('nosniff');
        expect(answer.headers['cache-control']).toBe('no-store');
      }
      for (const method of ['POST', 'DELETE', 'OPTIONS']) {
        const answer = await ask(`${url}${path}?x=1`, { method });
        expect(answer.status).toBe(405);
        expect(answer.headers.allow).toBe('GET, HEAD');
      }
    },
  );

  test('an unknown path is a 404 in plain text that names those there are', async () => {
    const { url } = await serve();
    const answer = await ask(`${url}/metric?x=1`);
    expect(answer.status).toBe(404);
    expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(answer.text).toMatch(/^There is nothing at \/metric\. Known paths:\n/);
    for (const { path, what } of PATHS) {
      expect(answer.text).toMatch(new RegExp(`^ {2}${path} +${what}$`, 'm'));
    }
  });

  test('a long unknown path is cut, and a malformed one is a plain 400', async () => {
    const { url } = await serve();
    const long = await ask(`${url}/${'a'.repeat(4_001)}`);
    expect(long.status).toBe(404);
    expect(long.text.length).toBeLessThan(1_000);
    const malformed = await ask(`${url}/%`);
    expect(malformed.status).toBe(400);
    expect(malformed.headers['content-type']).toBe('text/plain; charset=utf-8');
  });

  test.each([
    ['a path that cannot be decoded', 'GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n', 400],
    ['no Host', 'GET /metrics HTTP/1.1\r\n\r\n', 400],
    ['no HTTP at all', '\x16\x03\x01\x02\r\n\r\n', 400],
    ['a method that does not exist', 'FETCH / HTTP/1.1\r\nHost: localhost\r\n\r\n', 400],
    ['an HTTP of the future', 'GET / HTTP/9.7\r\nHost: localhost\r\n\r\n', 400],
    [
      'two lengths',
      'GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      400,
    ],
    ['an expectation', 'GET / HTTP/1.1\r\nHost: localhost\r\nExpect: wonders\r\n\r\n', 417],
    [
      'long headers',
      `GET / HTTP/1.1\r\nHost: localhost\r\nAccept: ${'a'.repeat(9_001)}\r\n\r\n`,
      431,
    ],
    [
      'an unknown path',
      'GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
      404,
    ],
  ] as const)('%s: the answer is not to be kept or guessed at, either', async (_, sent, status) => {
    const { url } = await serve();
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname).end(sent);
    const answer = await text(socket);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).toMatch(/\r\nx-content-type-options: nosniff\r\n/i);
    expect(answer).toMatch(/\r\ncache-control: no-store\r\n/i);
  });

  test('a body is neither read nor a reason for anything but 405', async () => {
    const { url } = await serve();
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${url}/metrics`, {
      method: 'POST',
      body: '{'.repeat(9_973),
      headers,
    });
    expect(answer.status).toBe(405);
  });
});
