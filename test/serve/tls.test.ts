// TLS as clients see it: policies for their certificates, versions, suites, and rules that change while
// the server listens. curl is the client; each refusal is OpenSSL's or the server's own.

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { readWebConfig, type WebConfig } from '../../src/config/web_config_file.ts';
import { Access } from '../../src/serve/access.ts';
import { buildApp } from '../../src/serve/app.ts';
import { listen } from '../../src/serve/listen.ts';
import { certificates } from './certificates.ts';
import { fakeSource } from './harness.ts';

const pki = certificates();
const CLIENTS = { known: 'client', stranger: 'stranger', expired: 'expired' } as const;
beforeAll(() => {
  pki.authority('ca');
  pki.issue('server', { sans: 'IP:127.0.0.1' });
  pki.issue('client', { sans: 'DNS:prometheus.example,URI:spiffe://a/b,IP:::1' });
  pki.issue('stranger', { sans: 'DNS:prometheus.example', by: 'stranger' });
  pki.issue('expired', { days: -1 });
});

const TLS = 'tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n';
const CA = '  client_ca_file: ca.pem\n';

function rulesOf(yaml: string): WebConfig {
  const read = readWebConfig(pki.write('web.yml', yaml));
  if ('problems' in read) throw new Error(read.problems.join('\n'));
  return read.config;
}

/** A server under these rules, which can be exchanged. */
async function serveTls(yaml: string) {
  let rules = rulesOf(yaml);
  const told: unknown[] = [];
  const log = { debug: ({ reason }: { reason: unknown }) => told.push(reason) };
  type Log = ConstructorParameters<typeof Access>[1];
  const access = new Access(() => rules, log as unknown as Log);
  const app = buildApp(fakeSource(), { requestsInFlightMax: 40, access });
  onTestFinished(() => app.close());
  const url = await listen(app, '127.0.0.1:0');
  return {
    app,
    url,
    /** Why clients were not let in. */
    told,
    exchange: (next: string) => {
      rules = rulesOf(next);
    },
  };
}

/** The status, or 0 when there was no answer. */
function curl(url: string, ...options: readonly string[]): Promise<number> {
  // Whatever proxy the environment names, it is not for this machine's own ports.
  const words = [
    '--noproxy',
    '*',
    '-s',
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    '--max-time',
    '20',
  ];
  const cacert = ['--cacert', pki.path('ca.pem')];
  return new Promise((resolve) => {
    execFile('curl', [...words, ...cacert, ...options, url], (_error, stdout) => {
      resolve(Number(stdout));
    });
  });
}

function as(who: keyof typeof CLIENTS): string[] {
  const name = CLIENTS[who];
  return ['--cert', pki.path(`${name}.pem`), '--key', pki.path(`${name}.key`)];
}

describe('each policy lets in whom it is to', () => {
  test.each([
    { policy: 'NoClientCert', ca: '', nobody: 200, known: 200, stranger: 200, expired: 200 },
    { policy: 'RequestClientCert', ca: CA, nobody: 200, known: 200, stranger: 200, expired: 200 },
    { policy: 'RequireAnyClientCert', ca: CA, nobody: 0, known: 200, stranger: 200, expired: 200 },
    { policy: 'RequireClientCert', ca: '', nobody: 0, known: 200, stranger: 200, expired: 200 },
    { policy: 'VerifyClientCertIfGiven', ca: CA, nobody: 200, known: 200, stranger: 0, expired: 0 },
    {
      policy: 'RequireAndVerifyClientCert',
      ca: CA,
      nobody: 0,
      known: 200,
      stranger: 0,
      expired: 0,
    },
    // By the public authorities then, to which none of these belongs.
    { policy: 'RequireAndVerifyClientCert', ca: '', nobody: 0, known: 0, stranger: 0, expired: 0 },
  ])('$policy (authorities: "$ca")', async ({ policy, ca, ...expected }) => {
    const { url } = await serveTls(`${TLS}${ca}  client_auth_type: ${policy}\n`);
    expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    expect({
      nobody: await curl(url),
      known: await curl(url, ...as('known')),
      stranger: await curl(url, ...as('stranger')),
      expired: await curl(url, ...as('expired')),
    }).toEqual(expected);
  });

  test.each([
    ['prometheus.example', 200],
    ['spiffe://a/b', 200],
    ['::1', 200],
    ['0:0:0:0:0:0:0:1', 200],
    ['other.example', 0],
    ['client', 0],
    ['*.example', 0],
  ])('client_allowed_sans: [%j] answers %i', async (name, status) => {
    const policy = `${CA}  client_auth_type: RequireAndVerifyClientCert\n`;
    const { url, told } = await serveTls(`${TLS}${policy}  client_allowed_sans: ["${name}"]\n`);
    expect(await curl(url, ...as('known'))).toBe(status);
    expect(told).toEqual(status === 200 ? [] : ['no allowed name in the certificate']);
    expect(await curl(url, ...as('stranger'))).toBe(0);
    expect(told.at(-1)).toMatch(/^client certificate not verified: /);
  });
});

test.each([
  ['min_version: TLS13', ['--tls-max', '1.2'], 0],
  ['min_version: TLS13', [], 200],
  ['max_version: TLS12', ['--tlsv1.3'], 0],
  ['max_version: TLS12', [], 200],
  ['min_version: TLS12', ['--tls-max', '1.1', '--ciphers', 'DEFAULT@SECLEVEL=0'], 0],
  ['min_version: TLS11', ['--tls-max', '1.1', '--ciphers', 'DEFAULT@SECLEVEL=0'], 200],
  [
    'cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]',
    ['--tls-max', '1.2', '--ciphers', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
    200,
  ],
  [
    'cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]',
    ['--tls-max', '1.2', '--ciphers', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
    0,
  ],
  ['cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]', ['--tlsv1.3'], 200],
  ['curve_preferences: [CurveP384]', ['--curves', 'P-384'], 200],
  ['curve_preferences: [CurveP384]', ['--curves', 'X25519'], 0],
])('%s against curl %j: %i', async (setting, options, status) => {
  const { url } = await serveTls(`${TLS}  ${setting}\n`);
  expect(await curl(url, ...options)).toBe(status);
});

test('plain HTTP on a port of TLS gets no answer, and the server goes on', async () => {
  const { url, told } = await serveTls(TLS);
  expect(await curl(url.replace('https', 'http'))).toBe(0);
  expect(await curl(url)).toBe(200);
  expect(told).toEqual(['http request']);
});

describe('rules that change', () => {
  test('hold from the next connection on: certificate, policy, names, and back', async () => {
    const verified = `${TLS}${CA}  client_auth_type: RequireAndVerifyClientCert\n`;
    const { url, exchange } = await serveTls(TLS);
    expect(await curl(url)).toBe(200);
    exchange(verified);
    expect([await curl(url), await curl(url, ...as('known'))]).toEqual([0, 200]);
    exchange(`${verified}  client_allowed_sans: [x]\n`);
    expect([await curl(url), await curl(url, ...as('known'))]).toEqual([0, 0]);
    exchange(TLS);
    expect(await curl(url)).toBe(200);
    pki.issue('other', { sans: 'IP:127.0.0.1', by: 'other' });
    exchange(TLS.replaceAll('server.', 'other.'));
    expect(await curl(url)).toBe(0);
    expect(await curl(url, '--cacert', pki.path('other.pem'))).toBe(200);
  });

  test('a session that began under other rules is not resumed', async () => {
    const { url, exchange } = await serveTls(`${TLS}  max_version: TLS12\n`);
    const { port } = new URL(url);
    const ca = readFileSync(pki.path('ca.pem'));
    const reused = async (session?: Buffer) => {
      const socket = connectTls({ port: Number(port), host: '127.0.0.1', ca, session });
      await once(socket, 'secureConnect');
      const answer = { reused: socket.isSessionReused(), session: socket.getSession() };
      socket.destroy();
      return answer;
    };
    const { session } = await reused();
    expect((await reused(session)).reused).toBe(true);
    exchange(`${TLS}  max_version: TLS12\n  client_auth_type: RequestClientCert\n`);
    expect((await reused(session)).reused).toBe(false);
  });
});

test('a connection that does not speak does not hold up the end', async () => {
  const { app, url } = await serveTls(TLS);
  const silent = connect(Number(new URL(url).port), '127.0.0.1');
  silent.on('error', () => {});
  await once(silent, 'connect');
  // An answer to a later connection shows that the server has seen this one.
  expect(await curl(url)).toBe(200);
  const startMs = performance.now();
  await app.close();
  expect(performance.now() - startMs).toBeLessThan(2_000);
});
