// Basic authentication over real HTTP: every path is under it, a check is paid for once, and a flood of
// wrong passwords neither stops the server nor takes the checks from everybody else.

import { hashSync } from 'bcryptjs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Access, type AccessRules } from '../../src/serve/access.ts';
import { buildApp } from '../../src/serve/app.ts';
import { BasicAuth, credentials } from '../../src/serve/basic_auth.ts';
import { listen } from '../../src/serve/listen.ts';
import { PasswordChecks } from '../../src/serve/password_checks.ts';
import { PATHS } from '../../src/serve/paths.ts';
import { ask, fakeSource } from './harness.ts';

/** Quick to check; the costs that people use are tried where they matter. */
const COST = 4;
const USERS = new Map([
  ['prometheus', hashSync('correct: horse', COST)],
  ['björn', hashSync('pä$$wörd', COST)],
]);

async function serveWith(rules: Partial<AccessRules>) {
  const current = { tls: undefined, headers: {}, users: USERS, ...rules };
  const logged: unknown[] = [];
  const log = { debug: (...line: unknown[]) => logged.push(line) };
  const access = new Access(
    () => current,
    log as unknown as ConstructorParameters<typeof Access>[1],
  );
  const app = buildApp(fakeSource(), { requestsInFlightMax: 40, access });
  onTestFinished(() => app.close());
  return { url: await listen(app, '127.0.0.1:0'), logged, current };
}

function basic(user: string, password: string): { headers: { authorization: string } } {
  const encoded = Buffer.from(`${user}:${password}`).toString('base64');
  return { headers: { authorization: `Basic ${encoded}` } };
}

describe('without a good password', () => {
  test.each([
    ...PATHS.map(({ path }) => ({ method: 'GET', path })),
    { method: 'HEAD', path: '/metrics' },
    { method: 'POST', path: '/metrics' },
    { method: 'OPTIONS', path: '/' },
    { method: 'GET', path: '/metrics/' },
    { method: 'GET', path: '/nowhere' },
    // Not to be decoded, which no route ever sees.
    { method: 'GET', path: '/%zz' },
  ])('$method $path answers 401 and nothing else', async ({ method, path }) => {
    const { url } = await serveWith({});
    for (const options of [{}, basic('prometheus', 'wrong'), basic('nobody', 'correct: horse')]) {
      const { status, headers, text } = await ask(url + path, { ...options, method });
      expect(status).toBe(401);
      expect(headers['www-authenticate']).toBe('Basic realm="rxscope", charset="UTF-8"');
      expect(text).toBe(method === 'HEAD' ? '' : 'A user name and a password are needed.\n');
    }
    const { status } = await ask(url + path, { ...basic('prometheus', 'correct: horse'), method });
    expect(status).not.toBe(401);
  });

  test('nothing that was sent is logged', async () => {
    const { url, logged } = await serveWith({});
    await ask(url, basic('prometheus', 'hunter2'));
    await ask(url, basic('hunter2', ''));
    expect(logged).toEqual([
      [{ address: '127.0.0.1', verdict: 'refused' }, 'not let in'],
      [{ address: '127.0.0.1', verdict: 'refused' }, 'not let in'],
    ]);
  });
});

test('a name and a password may be of any letters', async () => {
  const { url } = await serveWith({});
  expect((await ask(url, basic('björn', 'pä$$wörd'))).status).toBe(200);
});

test('hashes of all the versions that there are', async () => {
  const hash = hashSync('x', COST);
  for (const version of ['2a', '2b', '2y']) {
    const { url } = await serveWith({ users: new Map([['a', hash.replace('2b', version)]]) });
    expect((await ask(url, basic('a', 'x'))).status).toBe(200);
  }
});

test('a user who is gone, or has another password now, is refused at the next request', async () => {
  const { url, current } = await serveWith({});
  const right = basic('prometheus', 'correct: horse');
  expect((await ask(url, right)).status).toBe(200);
  current.users = new Map([['prometheus', hashSync('another', COST)]]);
  expect((await ask(url, right)).status).toBe(401);
  expect((await ask(url, basic('prometheus', 'another'))).status).toBe(200);
  current.users = new Map();
  expect((await ask(url)).status).toBe(200);
});

test('headers go with every answer, and those of a route win', async () => {
  const policy = 'content-security-policy';
  const headers = { 'X-Frame-Options': 'deny', 'Content-Security-Policy': "default-src 'self'" };
  const { url } = await serveWith({ headers });
  const right = basic('prometheus', 'correct: horse');
  for (const path of ['/metrics', '/-/healthy', '/nowhere', '/%zz']) {
    for (const options of [{}, right]) {
      const answer = await ask(url + path, options);
      expect(answer.headers).toMatchObject({
        'x-frame-options': 'deny',
        [policy]: "default-src 'self'",
      });
    }
  }
  expect((await ask(url, right)).headers[policy]).toMatch(/^default-src 'none'/);
});

describe('what is remembered', () => {
  test('of wrong passwords does not push out a right one', async () => {
    const auth = new BasicAuth();
    onTestFinished(() => auth.close());
    const right = basic('prometheus', 'correct: horse').headers.authorization;
    expect(await auth.check(right, USERS, 'a')).toBe('granted');
    for (let i = 0; i < 211; i++) {
      const wrong = basic('prometheus', String(i)).headers.authorization;
      expect(await auth.check(wrong, USERS, 'a')).toBe('refused');
    }
    await auth.close();
    // Nothing is checked any more: what it knows it remembers.
    expect(await auth.check(right, USERS, 'a')).toBe('granted');
    expect(await auth.check(basic('prometheus', '210').headers.authorization, USERS, 'a')).toBe(
      'refused',
    );
    expect(await auth.check(basic('prometheus', '0').headers.authorization, USERS, 'a')).toBe(
      'busy',
    );
  });
});

describe('a flood of wrong passwords', () => {
  test('is turned away, while others are checked and those known pass', async () => {
    const auth = new BasicAuth();
    onTestFinished(() => auth.close());
    const users = new Map([
      ['a', hashSync('right', 10)],
      ['b', hashSync('right', 10)],
    ]);
    const header = (user: string, password: string) => basic(user, password).headers.authorization;
    expect(await auth.check(header('a', 'right'), users, 'friend')).toBe('granted');

    const flood = Array.from({ length: 1009 }, (_, i) =>
      auth.check(header('a', `wrong ${i}`), users, 'foe'),
    );
    const order: string[] = [];
    const told = (name: string) => (verdict: string) => order.push(`${name} ${verdict}`);
    await Promise.all([
      ...flood.map((one) => one.then(told('foe'))),
      auth.check(header('b', 'right'), users, 'other').then(told('other')),
      auth.check(header('a', 'right'), users, 'friend').then(told('friend')),
    ]);
    const count = (what: string) => order.filter((one) => one === what).length;
    // So many may wait, with the one that is being checked.
    expect(count('foe refused')).toBe(4);
    expect(count('foe busy')).toBe(1009 - 4);
    expect(order.indexOf('friend granted')).toBeLessThan(order.indexOf('foe refused'));
    // It came last, and had its turn after no more than two of the others.
    const before = order.slice(0, order.indexOf('other granted'));
    expect(before.filter((one) => one === 'foe refused').length).toBeLessThanOrEqual(2);
  });

  test('delays the first check of another by no more than the one that is going on', async () => {
    const checks = new PasswordChecks();
    onTestFinished(() => checks.close());
    const hash = hashSync('right', 12);
    const ask = (address: string, password: string) =>
      checks.check({ key: address, hash, password, address });
    // The thread is there from now on.
    await ask('before', 'right');
    const startMs = performance.now();
    const wrong = ask('foe', 'wrong').then(() => performance.now() - startMs);
    expect(await ask('friend', 'right')).toBe(true);
    const tookMs = performance.now() - startMs;
    // With a rest of three times as long after the first it was five times as long as that.
    expect(tookMs).toBeLessThan(4 * (await wrong));
  });

  test('leaves the event loop alone: a check is done beside it', async () => {
    const checks = new PasswordChecks();
    onTestFinished(() => checks.close());
    const check = { key: 'k', hash: hashSync('right', 12), password: 'right', address: 'foe' };
    let turns = 0;
    const turning = setInterval(() => {
      turns += 1;
    }, 1);
    expect(await checks.check(check)).toBe(true);
    clearInterval(turning);
    // 200 ms of work here; in this thread there would be a handful of turns at most.
    expect(turns).toBeGreaterThan(20);
  });

  test('from many addresses waits up to a bound', async () => {
    const checks = new PasswordChecks();
    const hash = hashSync('right', COST);
    const waits = Array.from({ length: 101 }, (_, i) =>
      checks.check({ key: String(i), hash, password: 'wrong', address: `foe ${i}` }),
    );
    await checks.close();
    const verdicts = await Promise.all(waits);
    expect(verdicts.every((verdict) => verdict !== true)).toBe(true);
    expect(verdicts.slice(34).every((verdict) => verdict === undefined)).toBe(true);
  });

  test('of one and the same password costs one check', async () => {
    const checks = new PasswordChecks();
    onTestFinished(() => checks.close());
    const hash = hashSync('right', COST);
    const one = { key: 'k', hash, password: 'wrong', address: 'foe' };
    const waits = Array.from({ length: 101 }, () => checks.check(one));
    expect(new Set(waits).size).toBe(1);
    expect(await waits[0]).toBe(false);
  });
});

test.each([
  [undefined, undefined],
  ['', undefined],
  ['Bearer YTpi', undefined],
  ['Basic', undefined],
  ['Basic !', undefined],
  ['Basic YWI=', undefined],
  ['Basic YTpi', { user: 'a', password: 'b' }],
  ['basic   YTpi', { user: 'a', password: 'b' }],
  ['Basic YTpiOmM=', { user: 'a', password: 'b:c' }],
  ['Basic YTo=', { user: 'a', password: '' }],
  ['Basic Og==', { user: '', password: '' }],
])('the header %j says %j', (header, expected) => {
  expect(credentials(header)).toEqual(expected);
});
