// The file of --web.config.file: what is accepted and what is refused, with its exact message. promtool
// judges the same files; where the verdicts differ, the row says why.

import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { readWebConfig, type WebConfig } from '../../src/config/web_config_file.ts';
import { type PrometheusVersion, prometheusVersions } from '../metrics/prometheus_versions.ts';
import { certificates } from '../serve/certificates.ts';

const pki = certificates();
const VERSIONS = prometheusVersions();
beforeAll(() => {
  pki.authority('ca');
  pki.issue('server', { sans: 'IP:127.0.0.1' });
  pki.issue('other');
  pki.issue('expired', { days: -1 });
  const key = ['-in', pki.path('server.key'), '-aes256', '-passout', 'pass:x'];
  execFileSync('openssl', ['ec', ...key, '-out', pki.path('locked.key')], { stdio: 'pipe' });
  pki.write('junk.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
  const weak = ['req', '-x509', '-newkey', 'rsa:512', '-nodes', '-subj', '/CN=weak', '-days', '2'];
  const out = ['-keyout', pki.path('weak.key'), '-out', pki.path('weak.pem')];
  execFileSync('openssl', [...weak, ...out], { stdio: 'pipe' });
});

const HASH = '$2y$04$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi';
const TLS = 'tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n';

describe('accepted, by promtool too', () => {
  test.each([
    ['nothing', ''],
    ['only comments', '# later\n'],
    ['sections without settings', 'tls_server_config:\nhttp_server_config:\nbasic_auth_users:\n'],
    ['TLS', TLS],
    [
      'a policy for clients',
      `${TLS}  client_ca_file: ca.pem\n  client_auth_type: RequestClientCert\n`,
    ],
    ['its old name for a policy', `${TLS}  client_auth_type: RequireClientCert\n`],
    [
      'client certificates',
      `${TLS}  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n`,
    ],
    ['versions', `${TLS}  min_version: TLS12\n  max_version: TLS12\n`],
    ['old versions', `${TLS}  min_version: TLS10\n`],
    [
      'suites',
      `${TLS}  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]\n`,
    ],
    ['curves', `${TLS}  curve_preferences: [CurveP256, CurveP384, CurveP521, X25519]\n`],
    [
      'the words of YAML 1.1',
      `${TLS}  prefer_server_cipher_suites: off\nhttp_server_config: { http2: no }\n`,
    ],
    ['settings without a value', `${TLS}  min_version:\n  client_ca_file:\n  cipher_suites:\n`],
    ['users', `basic_auth_users:\n  prometheus: ${HASH}\n  7: ${HASH.replace('2y', '2b')}\n`],
    [
      'headers',
      `http_server_config:
  headers:
    Strict-Transport-Security: max-age=31536000
    X-Content-Type-Options: nosniff
    X-Frame-Options: sameorigin
    X-XSS-Protection: 0
    Content-Security-Policy: ""
`,
    ],
  ])('%s', (_title, yaml) => {
    const file = pki.write('web.yml', yaml);
    expect(readWebConfig(file)).toHaveProperty('config');
    expect(promtool(file)).toBe('good');
  });
});

test('paths are those from the file, and what they lead to is in the result', () => {
  const file = pki.write(
    'web.yml',
    `${TLS}  client_ca_file: ca.pem\n  client_auth_type: VerifyClientCertIfGiven\n`,
  );
  const { config, files } = accepted(file);
  expect(files).toEqual(['web.yml', 'server.pem', 'server.key', 'ca.pem'].map(pki.path));
  expect(config.tls?.context.cert?.toString()).toContain('BEGIN CERTIFICATE');
  expect(config.tls?.clients).toEqual({ asked: true, required: false, verified: true });
  expect(config.warnings).toEqual([]);
});

test('users may be called like what every object inherits', () => {
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf'];
  const yaml = `basic_auth_users:\n${names.map((name) => `  ${name}: ${HASH}\n`).join('')}`;
  const { users } = accepted(pki.write('web.yml', yaml)).config;
  expect([...users]).toEqual(names.map((name) => [name, HASH]));
});

test('a cost of 14, the highest that is taken, is one without a warning', () => {
  const file = pki.write('web.yml', `basic_auth_users: { a: ${HASH.replace('04', '14')} }\n`);
  expect(accepted(file).config.warnings).toEqual([]);
});

test('it is known when the first certificate of the chain expires', () => {
  const own = readFileSync(pki.path('server.pem'), 'utf8');
  pki.issue('short', { days: 1 });
  const short = readFileSync(pki.path('short.pem'), 'utf8');
  const expiresAt = (chain: string): number | undefined => {
    pki.write('chain.pem', chain);
    const yaml = 'tls_server_config: { cert_file: chain.pem, key_file: server.key }\n';
    const read = readWebConfig(pki.write('web.yml', yaml));
    return 'config' in read ? read.config.tls?.expiresAt : undefined;
  };
  const endOf = (pem: string): number => Date.parse(new X509Certificate(pem).validTo) / 1000;
  expect(expiresAt(own)).toBe(endOf(own));
  expect(expiresAt(own + short)).toBe(endOf(short));
  expect(endOf(short)).toBeLessThan(endOf(own));
});

test('headers that are blank are left out, and numbers are their digits', () => {
  const yaml =
    'http_server_config: { headers: { X-XSS-Protection: 0, Content-Security-Policy: } }\n';
  expect(accepted(pki.write('web.yml', yaml)).config.headers).toEqual({ 'X-XSS-Protection': '0' });
});

test('the suites of TLS 1.3 are on, whatever is listed for older versions', () => {
  const file = pki.write('web.yml', `${TLS}  cipher_suites: [TLS_RSA_WITH_AES_256_GCM_SHA384]\n`);
  expect(accepted(file).config.tls?.context.ciphers).toBe(
    'AES256-GCM-SHA384:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
  );
});

test.each([
  [
    'tls_server_config: { cert_file: expired.pem, key_file: expired.key }\n',
    /^tls_server_config\.cert_file: expired on .* GMT: CN=expired$/,
  ],
  [
    `${TLS}  client_auth_type: RequireAndVerifyClientCert\n`,
    /^tls_server_config\.client_ca_file: missing: a certificate of any public authority will do$/,
  ],
  [
    `${TLS}  client_auth_type: RequireAnyClientCert\n`,
    /^tls_server_config\.client_auth_type: with RequireAnyClientCert any certificate will do/,
  ],
  [`basic_auth_users: { "a:b": ${HASH} }\n`, /^basic_auth_users\."a:b": nobody can log in/],
])('%j is accepted with a warning, by promtool without', (yaml, warning) => {
  const file = pki.write('web.yml', yaml);
  const { warnings } = accepted(file).config;
  expect(warnings).toHaveLength(1);
  expect(warnings[0]?.slice(`${file}: `.length)).toMatch(warning);
  expect(promtool(file)).toBe('good');
});

interface Bad {
  readonly yaml: string;
  readonly problems: readonly string[];
  /** Why promtool takes it all the same. */
  readonly stricter?: string;
  /** Why promtool takes it from 3 on. */
  readonly stricterThan3?: string;
}

const A_HASH =
  'expected a bcrypt hash of 60 characters, such as `htpasswd -nBC 10 ""` prints behind the colon';
const UNREADABLE = 'cannot be read (ENOENT): there is no such file; check the path';
const BAD: readonly Bad[] = [
  {
    yaml: 'tls_config: {}\nrate_limit: { burst: 3 }\n',
    problems: [
      'tls_config: unknown setting, expected one of tls_server_config, http_server_config or basic_auth_users',
      'rate_limit: not supported; web.requests_in_flight_max bounds the load',
    ],
  },
  {
    yaml: 'tls_server_config: { cert: inline, key: hunter2 }\n',
    problems: [
      'tls_server_config.cert: not supported; put the certificate into a file, named by cert_file',
      'tls_server_config.key: not supported; put the key into a file, named by key_file',
    ],
  },
  {
    yaml: 'tls_server_config: { cert_file: server.pem }\n',
    problems: ['tls_server_config.key_file: missing, while there is a cert_file'],
  },
  {
    yaml: 'tls_server_config: { key_file: server.key }\n',
    problems: ['tls_server_config.cert_file: missing, while there is a key_file'],
  },
  {
    yaml: 'tls_server_config: { client_ca_file: ca.pem }\n',
    problems: [
      'tls_server_config.cert_file: missing: without a certificate and its key there is no TLS',
    ],
  },
  {
    yaml: 'tls_server_config: { min_version: TLS13 }\n',
    problems: [
      'tls_server_config.cert_file: missing: without a certificate and its key there is no TLS',
    ],
    stricter: 'it would speak plain HTTP, without a word',
  },
  {
    yaml: 'tls_server_config: { cert_file: gone.pem, key_file: gone.key }\nbasic_auth_users: { a: b }\n',
    problems: [
      `basic_auth_users.a: ${A_HASH}`,
      `tls_server_config.cert_file: FOLDER/gone.pem: ${UNREADABLE}`,
      `tls_server_config.key_file: FOLDER/gone.key: ${UNREADABLE}`,
    ],
  },
  {
    yaml: 'tls_server_config: { cert_file: server.pem, key_file: other.key }\n',
    problems: [
      'tls_server_config.key_file: not the key of the first certificate in cert_file; check both paths',
    ],
  },
  {
    yaml: 'tls_server_config: { cert_file: server.key, key_file: server.pem }\n',
    problems: [
      'tls_server_config.cert_file: no certificate in it, expected one in PEM',
      'tls_server_config.key_file: no private key in it, expected one in PEM',
    ],
  },
  {
    yaml: 'tls_server_config: { cert_file: junk.pem, key_file: server.key }\n',
    problems: ['tls_server_config.cert_file: no certificate in it, expected one in PEM'],
  },
  {
    yaml: 'tls_server_config: { cert_file: server.pem, key_file: locked.key }\n',
    problems: [
      'tls_server_config.key_file: the key is encrypted, expected one without a passphrase',
    ],
  },
  {
    yaml: 'tls_server_config: { cert_file: weak.pem, key_file: weak.key }\n',
    problems: [
      expect.stringMatching(/^tls_server_config\.cert_file: refused by OpenSSL: .*too small/),
    ],
    stricter: 'Go of that time takes keys of any length',
  },
  {
    yaml: `${TLS}  client_ca_file: ca.pem\n`,
    problems: [
      'tls_server_config.client_auth_type: NoClientCert, while there is a client_ca_file; expected another policy',
    ],
  },
  {
    yaml: `${TLS}  client_ca_file: server.key\n  client_auth_type: RequireAndVerifyClientCert\n`,
    problems: [
      'tls_server_config.client_ca_file: no certificate in it, expected those of the authorities in PEM',
    ],
    stricter: 'no client could ever connect',
  },
  {
    yaml: `${TLS}  client_auth_type: Require\n`,
    problems: [
      'tls_server_config.client_auth_type: got "Require", expected NoClientCert, RequestClientCert, RequireClientCert, RequireAnyClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert; did you mean RequireClientCert?',
    ],
  },
  {
    yaml: `${TLS}  client_allowed_sans: [a]\n  client_auth_type: RequestClientCert\n`,
    problems: [
      'tls_server_config.client_allowed_sans: needs client_auth_type RequireAndVerifyClientCert or RequireAnyClientCert: else a client without a certificate has no name to compare',
    ],
    stricterThan3: 'such a client would get in (2.42 does not know the setting)',
  },
  {
    yaml: `${TLS}  min_version: TLS13\n  max_version: TLS12\n`,
    problems: ['tls_server_config.min_version: TLS13 is higher than max_version, TLS12'],
    stricter: 'no client could ever connect',
  },
  {
    yaml: `${TLS}  min_version: 1.2\n  curve_preferences: [P256]\n`,
    problems: [
      'tls_server_config.min_version: got 1.2, expected TLS10, TLS11, TLS12 or TLS13',
      'tls_server_config.curve_preferences.0: got "P256", expected CurveP256, CurveP384, CurveP521 or X25519',
    ],
  },
  {
    yaml: `${TLS}  cipher_suites: TLS_AES_128_GCM_SHA256\n`,
    problems: ['tls_server_config.cipher_suites: got "TLS_AES_128_GCM_SHA256", expected a list'],
  },
  {
    yaml: `${TLS}  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]\n`,
    problems: [
      expect.stringMatching(
        /^tls_server_config\.cipher_suites\.0: got "TLS_RSA_WITH_RC4_128_SHA", expected TLS_AES_128_GCM_SHA256, .*; did you mean /,
      ),
    ],
  },
  {
    yaml: 'http_server_config: { http2: true }\n',
    problems: [
      'http_server_config.http2: got true, but rxscope speaks HTTP/1.1 only; leave it out, or set it to false',
    ],
    stricter: 'the toolkit speaks HTTP/2',
  },
  {
    yaml: 'http_server_config: { headers: { x-frame-options: deny, Server: me } }\n',
    problems: [
      'http_server_config.headers.x-frame-options: unknown setting; did you mean X-Frame-Options?',
      'http_server_config.headers.Server: unknown setting, expected one of Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options, X-XSS-Protection or Content-Security-Policy',
    ],
  },
  {
    yaml: 'http_server_config: { headers: { X-Frame-Options: DENY } }\n',
    problems: [
      'http_server_config.headers.X-Frame-Options: got "DENY", expected "deny" or "sameorigin"',
    ],
  },
  {
    yaml: 'http_server_config: { headers: { Content-Security-Policy: "a\\nb" } }\n',
    problems: [
      'http_server_config.headers.Content-Security-Policy: got "a\\nb", expected text for one line',
    ],
    stricter: 'Go makes a blank of the line break',
  },
  { yaml: 'basic_auth_users: { a: hunter2 }\n', problems: [`basic_auth_users.a: ${A_HASH}`] },
  {
    yaml: `basic_auth_users: { a: "${HASH.replace('04', '03')}" }\n`,
    problems: [`basic_auth_users.a: ${A_HASH}`],
  },
  {
    yaml: `basic_auth_users: { a: "${HASH.replace('2y', '2z')}" }\n`,
    problems: [`basic_auth_users.a: ${A_HASH}`],
    stricter: 'Go does not look at that letter',
  },
  ...[
    { cost: 15, time: '2 s' },
    { cost: 16, time: '3 s' },
    { cost: 22, time: '3 min' },
    { cost: 31, time: '29 h' },
  ].map(({ cost, time }) => ({
    yaml: `basic_auth_users: { a: "${HASH.replace('04', String(cost))}" }\n`,
    problems: [
      `basic_auth_users.a: cost ${cost}, expected 14 at most: each check of a password, a wrong one too, would take ${time}, which others wait for; 10 is usual`,
    ],
    stricter: 'it lets one wrong password take a CPU for so long',
  })),
  {
    yaml: '__proto__: { tls_server_config: {} }\n',
    problems: [
      '__proto__: unknown setting, expected one of tls_server_config, http_server_config or basic_auth_users',
    ],
  },
  {
    yaml: 'constructor: 1\ntls_server_config: { toString: 1 }\nhttp_server_config: { headers: { __proto__: x } }\n',
    problems: [
      expect.stringMatching(/^tls_server_config\.toString: unknown setting, expected one of cert_/),
      expect.stringMatching(/^http_server_config\.headers\.__proto__: unknown setting, expected /),
      expect.stringMatching(/^constructor: unknown setting, expected one of tls_server_config, /),
    ],
  },
  {
    yaml: 'basic_auth_users: { __proto__: hunter2, constructor: 1 }\n',
    problems: [`basic_auth_users.__proto__: ${A_HASH}`, `basic_auth_users.constructor: ${A_HASH}`],
  },
  {
    yaml: 'basic_auth_users: [hunter2]\n',
    problems: ['basic_auth_users: expected a mapping from user names to hashes'],
  },
  {
    yaml: `basic_auth_users: { a: "${HASH}" }\nbasic_auth_users: {}\n`,
    problems: ['line 2, column 1: the key stands twice; remove one of them'],
  },
  { yaml: '[hunter2]\n', problems: ['expected a mapping of settings'] },
  {
    yaml: 'basic_auth_users: { a: "hunter2 }\n',
    problems: ['line 2, column 1: not valid YAML (MISSING_CHAR)'],
  },
  {
    yaml: 'basic_auth_users:\n  a: *hunter2\n',
    problems: ['line 2, column 6: unknown anchor; quote the value if its * is none'],
  },
  {
    yaml: 'basic_auth_users:\n  a: @hunter2\n',
    problems: [expect.stringMatching(/^line 2, column 6: not valid YAML \([A-Z_]+\)$/)],
  },
];

describe('refused, with every problem and no secret', () => {
  test.each(BAD)('$yaml', ({ yaml, problems, stricter, stricterThan3 }) => {
    const file = pki.write('bad.yml', yaml);
    const read = readWebConfig(file);
    if (!('problems' in read)) throw new Error('the file was accepted');
    const shown = read.problems.map((problem) =>
      problem.replace(`${file}: `, '').replaceAll(dirname(file), 'FOLDER'),
    );
    expect(shown).toEqual(problems);
    expect(read.problems.join()).not.toMatch(/hunter2|QOauhQNb/);
    for (const version of VERSIONS) {
      const why = stricter ?? (version.major < 3 ? undefined : stricterThan3);
      const verdict = why === undefined ? 'bad' : 'good';
      expect(verdictOf(version, file), `${version.name}: ${why}`).toBe(verdict);
    }
  });

  test('a key in the place of its path', () => {
    const yaml = `${TLS.replace('server.key', '"-----BEGIN PRIVATE KEY-----hunter2"')}`;
    expect(readWebConfig(pki.write('bad.yml', yaml))).toMatchObject({
      problems: [
        `${pki.path('bad.yml')}: tls_server_config.key_file: expected the path of a PEM file`,
      ],
    });
  });

  test('a pipe, which cannot be read again', () => {
    execFileSync('mkfifo', [pki.path('pipe')]);
    const why = 'not a regular file, which it must be to be read again when it changes';
    expect(readWebConfig(pki.path('pipe'))).toEqual({
      files: [pki.path('pipe')],
      problems: [`${pki.path('pipe')}: ${why}`],
    });
    const file = pki.write('bad.yml', TLS.replace('server.pem', 'pipe'));
    expect(readWebConfig(file)).toMatchObject({
      problems: [`${file}: tls_server_config.cert_file: ${pki.path('pipe')}: ${why}`],
    });
  });
});

test('a list of allowed names is accepted, which promtool knows from 3 on', () => {
  const clients = '  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n';
  const file = pki.write('web.yml', `${TLS}${clients}  client_allowed_sans: [a.example, "::1"]\n`);
  expect(accepted(file).config.tls?.allowedSans).toEqual(['a.example', '::1']);
  for (const version of VERSIONS)
    expect(verdictOf(version, file), version.name).toBe(version.major < 3 ? 'bad' : 'good');
});

function accepted(file: string): { config: WebConfig; files: readonly string[] } {
  const read = readWebConfig(file);
  if ('problems' in read) throw new Error(read.problems.join('\n'));
  return read;
}

/** The verdict of each version's promtool: one word where all agree. */
function promtool(file: string): string {
  return [...new Set(VERSIONS.map((version) => verdictOf(version, file)))].join();
}

function verdictOf({ promtool }: PrometheusVersion, file: string): 'good' | 'bad' {
  try {
    execFileSync(promtool, ['check', 'web-config', file], { stdio: 'pipe' });
    return 'good';
  } catch (error) {
    // Status 1 is its verdict; anything else is a failure of the test.
    if ((error as { status?: number }).status !== 1) throw error;
    return 'bad';
  }
}
