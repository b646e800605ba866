// Whose pages a browser may let read the agent: a page of another origin, also one whose name has come to
// mean loopback, reads nothing on any path. Scrapers, curl, port-forwards and links go on to work.

import { connect } from 'node:net';
import { hostname } from 'node:os';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { foreignRequest, isLoopback } from '../../src/serve/foreign_request.ts';
import { PATHS } from '../../src/serve/paths.ts';
import { ask, serve } from './harness.ts';

type Headers = Record<string, string>;
/** The status of the refusal, or 200. */
function verdict(headers: Headers, { loopbackOnly = true, method = 'GET' } = {}): number {
  const request = { method, httpVersion: '1.1', headers };
  return foreignRequest(request, loopbackOnly)?.status ?? 200;
}

describe('a server on loopback only', () => {
  test.each([
    '127.0.0.1:10750',
    '127.0.0.1',
    '127.9.9.9:1',
    '127.1:10750',
    '0x7f.1:10750',
    '2130706433',
    '192.0.2.7:10750',
    '[::1]:10750',
    '[::1]',
    '[::ffff:127.0.0.1]:10750',
    'localhost:10750',
    'localhost',
    'LocalHost:8080',
    'localhost.:10750',
    'rxscope.localhost:10750',
    `${hostname()}:10750`,
  ])('is asked for as %s', (host) => {
    expect(verdict({ host })).toBe(200);
  });

  test.each([
    'evil.example:10750',
    'evil.example',
    'evil',
    'localhost.evil.example',
    'evillocalhost',
    'localhost.evil',
    '127.0.0.1.evil.example:10750',
    '127.0.0.1.nip.io',
    'localhost@evil.example',
    'localhost:10750@evil.example',
    'evil.example#localhost',
    '1.evil',
    '[::1].evil.example',
    '[evil.example]',
    'localhost, evil.example',
    '',
    ':10750',
    '.',
    '..',
    'constructor',
    '__proto__',
  ])('is nobody called %j', (host) => {
    expect(verdict({ host })).toBe(421);
    expect(verdict({ host }, { loopbackOnly: false })).toBe(200);
  });
});

test('a request of HTTP/1.1 has a Host, one of 1.0 need not', () => {
  expect(verdict({})).toBe(400);
  expect(foreignRequest({ method: 'GET', httpVersion: '1.0', headers: {} }, true)).toBeUndefined();
});

describe.each([true, false])('with loopback only: %s', (loopbackOnly) => {
  const judged = (headers: Headers, method = 'GET'): number =>
    verdict({ host: '192.0.2.7:10750', ...headers }, { loopbackOnly, method });

  test.each([
    ['http://192.0.2.7:10750', '192.0.2.7:10750', 200],
    ['https://192.0.2.7:10750', '192.0.2.7:10750', 200],
    ['http://localhost:8080', 'localhost:8080', 200],
    ['HTTP://LOCALHOST:8080', 'localhost:8080', 200],
    ['http://127.0.0.1', '127.0.0.1:80', 200],
    ['https://127.0.0.1:443', '127.0.0.1', 200],
    ['http://localhost:3000', 'localhost:10750', 403],
    ['http://localhost', 'localhost:10750', 403],
    ['http://evil.example', '127.0.0.1:10750', 403],
    ['http://127.0.0.1:10750.evil.example', '127.0.0.1:10750', 403],
    ['http://evil.example/127.0.0.1:10750', '127.0.0.1:10750', 403],
    ['http://user@127.0.0.1:10750', '127.0.0.1:10750', 403],
    ['file://', '127.0.0.1:10750', 403],
    ['chrome-extension://abc', '127.0.0.1:10750', 403],
    ['null', '127.0.0.1:10750', 403],
    ['', '127.0.0.1:10750', 403],
    ['http://127.0.0.1:10750, http://evil.example', '127.0.0.1:10750', 403],
  ])('the Origin %j of a request for %s: %i', (origin, host, status) => {
    expect(judged({ origin, host })).toBe(status);
  });

  const LINK = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
  test.each([
    [{ 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' }, 'GET', 200],
    [{ 'sec-fetch-site': 'none', ...LINK }, 'GET', 200],
    [{ 'sec-fetch-site': 'cross-site' }, 'GET', 403],
    [{ 'sec-fetch-site': 'same-site' }, 'GET', 403],
    [{ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }, 'GET', 403],
    [{ 'sec-fetch-site': 'cross-site', ...LINK, 'sec-fetch-dest': 'iframe' }, 'GET', 403],
    [{ 'sec-fetch-site': 'cross-site', ...LINK }, 'POST', 403],
    // A link in Prometheus' list of targets.
    [{ 'sec-fetch-site': 'cross-site', ...LINK }, 'GET', 200],
    [{ 'sec-fetch-site': 'what comes next' }, 'GET', 403],
  ])('%j with %s: %i', (headers, method, status) => {
    expect(judged(headers as Headers, method)).toBe(status);
  });
});

test.each([
  ['127.0.0.1', true],
  ['127.255.0.1', true],
  ['::1', true],
  ['::ffff:127.0.0.1', true],
  ['0.0.0.0', false],
  ['::', false],
  ['192.0.2.127', false],
  ['::ffff:192.0.2.1', false],
  ['', false],
])('the address %j is loopback: %s', (address, loopback) => {
  expect(isLoopback(address)).toBe(loopback);
});

describe('over HTTP', () => {
  test.each([...PATHS.map(({ path }) => path), '/nowhere', '/%zz'])(
    'nothing at %s is for somebody else: the sentence says why',
    async (path) => {
      const { url } = await serve();
      const evil = await ask(url + path, { headers: { host: 'evil.example:10750' } });
      expect(evil.status).toBe(421);
      expect(evil.text).toMatch(
        /^This agent listens on loopback only, where "evil\.example:10750" cannot be its name\.\n/,
      );
      const page = await ask(url + path, { headers: { origin: 'http://evil.example' } });
      expect(page.status).toBe(403);
      expect(page.text).toBe(
        'Pages of other origins cannot read this agent (Origin: "http://evil.example").\n',
      );
      for (const { headers } of [evil, page]) {
        expect(headers['content-type']).toBe('text/plain; charset=utf-8');
        expect(headers['x-content-type-options']).toBe('nosniff');
        expect(headers).not.toHaveProperty('access-control-allow-origin');
      }
    },
  );

  test('neither is an answer to a question that comes before one (OPTIONS)', async () => {
    const { url } = await serve();
    const headers = { origin: 'http://evil.example', 'access-control-request-method': 'GET' };
    expect((await ask(`${url}/metrics`, { method: 'OPTIONS', headers })).status).toBe(403);
  });

  test('a request of HTTP/1.0 without a Host is answered, as health checks send it', async () => {
    const { url } = await serve();
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname).end('GET /-/healthy HTTP/1.0\r\n\r\n');
    expect(await text(socket)).toMatch(
      /^HTTP\/1\.1 200 OK\r\n(.|\r\n)*\r\nrxscope is healthy\.\n$/,
    );
  });
});
