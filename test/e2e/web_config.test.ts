// The real agent under --web.config.file: scraped by real Prometheus servers over TLS, and asked by curl
// while its files change below it.

import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { hashSync } from 'bcryptjs';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { type PrometheusServer, startPrometheus } from '../metrics/prometheus_server.ts';
import { prometheusVersions } from '../metrics/prometheus_versions.ts';
import { certificates } from '../serve/certificates.ts';
import { type AgentProcess, logLine, runRxscope, startAgent } from './agent_process.ts';

const pki = certificates();
const PASSWORD = 'correct horse 7919';
const HASH = hashSync(PASSWORD, 10);
const NOBODY = 65534;
const WARN = 40;
const SOON = { timeout: 20_000, interval: 50 };
const ENCRYPTED = 'tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n';
const TLS = `${ENCRYPTED}  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
`;
const USERS = `basic_auth_users:\n  prometheus: ${HASH}\n`;

beforeAll(() => {
  pki.authority('ca');
  pki.issue('server', { sans: 'IP:127.0.0.1' });
  pki.issue('client', { sans: 'DNS:prometheus.example' });
});

describe.each(prometheusVersions())('$name', (version) => {
  test('scrapes over TLS, with its certificate and its password', async () => {
    const agent = await startAgent(['--web.config.file', pki.write('web.yml', TLS + USERS)]);
    const settings = {
      scheme: 'https',
      basic_auth: { username: 'prometheus', password: PASSWORD },
      tls_config: {
        ca_file: pki.path('ca.pem'),
        cert_file: pki.path('client.pem'),
        key_file: pki.path('client.key'),
      },
    };
    const job = { name: 'agent', target: new URL(agent.url).host, path: '/metrics', settings };
    let server: PrometheusServer | undefined;
    try {
      server = await startPrometheus([job], ['native-histograms'], { version });
      expect(await server.value('up')).toBe(1);
      expect(await server.value('count(rxscope_probe_up)')).toBeGreaterThan(0);
      // A new certificate below the running server is no reason for Prometheus to fail.
      pki.issue('server', { sans: 'IP:127.0.0.1' });
      agent.child.kill('SIGHUP');
      await logLine(agent, ({ msg }) => msg === 'web configuration reloaded');
      const { value } = server;
      const scrapes = async (): Promise<number> => value('sum_over_time(up[1h])');
      const before = await scrapes();
      await vi.waitFor(async () => expect(await scrapes()).toBeGreaterThan(before + 2), SOON);
      expect(await value('min_over_time(up[1h])')).toBe(1);
    } finally {
      await server?.stop();
    }
    expect((await agent.stop()).code).toBe(0);
  });
});

describe('without a restart and without a signal', () => {
  let agent: AgentProcess;
  beforeAll(async () => {
    agent = await startAgent(['--web.config.file', pki.write('web.yml', TLS + USERS)]);
  });

  test('a new certificate is there for the next connection', async () => {
    const before = await serialOf(agent);
    pki.issue('server', { sans: 'IP:127.0.0.1', days: 5 });
    await vi.waitFor(async () => expect(await serialOf(agent)).not.toBe(before), SOON);
    const { validTo } = new X509Certificate(readFileSync(pki.path('server.pem')));
    const { body } = await ask(agent, ...known(`prometheus:${PASSWORD}`));
    const name = 'rxscope_web_certificate_expiry_timestamp_seconds';
    const [, expires] = new RegExp(`^${name} (\\d+)$`, 'm').exec(body) ?? [];
    expect(Number(expires)).toBe(Date.parse(validTo) / 1000);
    const told = agent.logs().filter(({ msg }) => msg === 'web configuration reloaded');
    expect(told).toEqual([expect.objectContaining({ tls: true, users: 1 })]);
  });

  test('a new user gets in, and who is gone does not', async () => {
    expect(await curl(agent, ...known(`prometheus:${PASSWORD}`))).toBe(200);
    pki.write('web.yml', `${TLS}basic_auth_users: { other: "${hashSync('x', 4)}" }\n`);
    await vi.waitFor(async () => expect(await curl(agent, ...known('other:x'))).toBe(200), SOON);
    expect(await curl(agent, ...known(`prometheus:${PASSWORD}`))).toBe(401);
    expect(await curl(agent, '-u', 'other:x')).toBe(0);
  });

  test('a bad file leaves the old rules in force; the log and a metric tell of it', async () => {
    const good = `${TLS}basic_auth_users: { other: "${hashSync('x', 4)}" }\n`;
    expect(await gauge(agent)).toBe(1);
    pki.write('web.yml', good.replace('server.key', 'client.key'));
    await vi.waitFor(async () => expect(await gauge(agent)).toBe(0), SOON);
    expect(agent.logs().find(({ problem }) => problem !== undefined)?.problem).toMatch(
      /web\.yml: tls_server_config\.key_file: not the key of the first certificate/,
    );
    pki.write('web.yml', USERS);
    await vi.waitFor(async () => {
      expect(await curl(agent, ...known('other:x'))).toBe(200);
      const problems = agent.logs().map(({ problem }) => String(problem));
      expect(problems.join()).toMatch(/TLS can be switched off by a restart only/);
    }, SOON);
    pki.write('web.yml', good);
    await vi.waitFor(async () => expect(await gauge(agent)).toBe(1), SOON);
  });
});

test('no secret is ever in the log, however much is logged', async () => {
  const file = pki.write('web.yml', TLS + USERS);
  const agent = await startAgent(['--web.config.file', file, '--log.level', 'trace']);
  await curl(agent, ...known(`prometheus:${PASSWORD}`));
  await curl(agent, ...known('prometheus:hunter2'));
  await curl(agent, ...known('hunter2:'), '-X', 'POST', '-d', 'hunter2');
  await curl(agent, '-u', 'a:hunter2');
  pki.write('web.yml', `${TLS + USERS}  bad: hunter2\n`);
  agent.child.kill('SIGHUP');
  await logLine(agent, ({ problem }) => problem !== undefined);
  pki.write('web.yml', `${TLS + USERS}  bad: "hunter2\n`);
  agent.child.kill('SIGHUP');
  await logLine(agent, ({ problem }) => /not valid YAML/.test(String(problem)));
  const { stdout, stderr } = await agent.stop();
  const key = readFileSync(pki.path('server.key'), 'utf8').split('\n')[1] ?? '';
  const sent = ['hunter2', PASSWORD, `prometheus:${PASSWORD}`];
  const secrets = [...sent, ...sent.map((text) => Buffer.from(text).toString('base64')), HASH, key];
  expect(stdout).toBe('');
  expect(stderr).toContain('not let in');
  for (const secret of secrets) expect(stderr).not.toContain(secret.replace(/=+$/, ''));
});

describe('privileges', () => {
  test('root reads a key again that only root may read, without any capability', async () => {
    chmodSync(pki.path('server.key'), 0o600);
    const agent = await startAgent(['--web.config.file', pki.write('web.yml', TLS + USERS)]);
    expect(agent.logs().some(({ msg }) => msg === 'dropped all capabilities')).toBe(true);
    pki.issue('server', { sans: 'IP:127.0.0.1' });
    chmodSync(pki.path('server.key'), 0o600);
    agent.child.kill('SIGHUP');
    await logLine(agent, ({ msg }) => msg === 'web configuration reloaded');
  });

  test("keeps what it takes to read a key in somebody's closed folder again", async () => {
    const folder = pki.path('closed');
    mkdirSync(folder, { mode: 0o700 });
    for (const name of ['server.pem', 'server.key']) {
      pki.write(`closed/${name}`, readFileSync(pki.path(name)));
    }
    chownSync(folder, NOBODY, NOBODY);
    const yaml = `${TLS.replaceAll('server.', 'closed/server.')}${USERS}`;
    const agent = await startAgent(['--web.config.file', pki.write('web.yml', yaml)]);
    const files = ['server.pem', 'server.key'].map((name) => join(folder, name));
    expect(agent.logs().find(({ kept }) => kept !== undefined)?.kept).toEqual({
      CAP_DAC_READ_SEARCH: `reads ${files.join(', ')} again when changed`,
    });
    const before = await serialOf(agent);
    pki.issue('server', { sans: 'IP:127.0.0.1' });
    for (const name of ['server.pem', 'server.key']) {
      pki.write(`closed/${name}`, readFileSync(pki.path(name)));
    }
    await vi.waitFor(async () => expect(await serialOf(agent)).not.toBe(before), SOON);
  });
});

describe('at the start', () => {
  test('every problem of the file is told, and nothing is started', async () => {
    const file = pki.write('web.yml', 'basic_auth_users: { a: b }\nhttp_server_config: { x: 1 }\n');
    const { code, stdout, stderr } = await runRxscope(['run', '--web.config.file', file]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr.split('\n').map((line) => line.slice(0, 60 + file.length))).toEqual([
      expect.stringMatching(/web\.yml: http_server_config\.x: unknown setting/),
      expect.stringMatching(/web\.yml: basic_auth_users\.a: expected a bcrypt hash/),
      '',
    ]);
  });

  const open = 'the metrics can be read from other hosts, without authentication';
  const clear = 'passwords come over the network in the clear, without TLS';
  test.each([
    { what: 'nothing', yaml: '', warnings: [open] },
    { what: 'a certificate', yaml: ENCRYPTED, warnings: [open] },
    { what: 'users', yaml: USERS, warnings: [clear] },
    { what: "clients' certificates", yaml: TLS, warnings: [] },
    { what: 'a certificate and users', yaml: ENCRYPTED + USERS, warnings: [] },
  ])('an address that others reach, with $what: $warnings', async ({ yaml, warnings }) => {
    const file = pki.write('web.yml', yaml);
    const args = ['--web.config.file', file, '--web.listen-address', '0.0.0.0:0'];
    const agent = await startAgent(args);
    const told = agent.logs().filter(({ level }) => level >= WARN);
    expect(told.map(({ msg }) => msg)).toEqual(warnings);
  });

  test('the setting in the configuration file is a path from that file', async () => {
    pki.write('web.yml', USERS);
    const file = pki.write('rxscope.yml', 'web: { config_file: web.yml }\n');
    const agent = await startAgent(['--config.file', file]);
    expect((await fetch(`${agent.url}/metrics`)).status).toBe(401);
    expect((await fetch(`${agent.url}/-/healthy`)).status).toBe(401);
  });

  test('without the option nobody is asked for anything', async () => {
    const agent = await startAgent();
    expect((await agent.scrape()).status).toBe(200);
    expect(agent.url).toMatch(/^http:/);
  });
});

test('check-config --web shows what a file leads to, and every problem of it', async () => {
  const file = pki.write('web.yml', TLS + USERS);
  expect(await runRxscope(['check-config', '--web', file])).toMatchObject({
    code: 0,
    stderr: '',
    stdout: `${file}: ok
  TLS                  TLSv1.2 to TLSv1.3
  client certificates  required, verified
  users                prometheus
  headers              none
`,
  });
  pki.issue('old', { days: -1 });
  const old = pki.write('old.yml', TLS.replaceAll('server.', 'old.'));
  const warned = await runRxscope(['check-config', '--web', old]);
  expect(warned.code).toBe(0);
  expect(warned.stderr).toMatch(/cert_file: expired on .*: CN=old\n$/);
  const bad = pki.write('bad.yml', 'basic_auth_users: { a: hunter2 }\n');
  const refused = await runRxscope(['check-config', '--web', bad]);
  expect(refused).toMatchObject({ code: 2, stdout: '' });
  expect(refused.stderr).toMatch(/bad\.yml: basic_auth_users\.a: expected a bcrypt hash of 60 ch/);
  expect(refused.stderr).not.toContain('hunter2');
  const both = pki.write('rxscope.yml', 'web: { config_file: bad.yml }\n');
  expect((await runRxscope(['check-config', both])).stderr).toBe(refused.stderr);
  const neither = await runRxscope(['check-config']);
  expect(neither.code).toBe(2);
  expect(neither.stderr).toMatch(/expected a configuration file, or --web with one/);
});

/** The client's certificate, and a user. */
function known(user: string): string[] {
  return ['--cert', pki.path('client.pem'), '--key', pki.path('client.key'), '-u', user];
}

interface Told {
  readonly status: number;
  readonly body: string;
}

function ask(agent: AgentProcess, ...options: readonly string[]): Promise<Told> {
  const fixed = ['-s', '-w', '\n%{http_code}', '--max-time', '20', '--cacert', pki.path('ca.pem')];
  return new Promise((resolve) => {
    const words = [...fixed, ...options, `${agent.url}/metrics`];
    execFile('curl', words, { maxBuffer: 2 ** 26 }, (_error, stdout) => {
      const end = stdout.lastIndexOf('\n');
      resolve({ status: Number(stdout.slice(end + 1)), body: stdout.slice(0, end) });
    });
  });
}

/** The status, or 0 when there was no answer. */
async function curl(agent: AgentProcess, ...options: readonly string[]): Promise<number> {
  return (await ask(agent, ...options)).status;
}

/** Whether the last reload was accepted, as a metric says. */
async function gauge(agent: AgentProcess): Promise<number> {
  const { body } = await ask(agent, ...known('other:x'));
  return Number(/^rxscope_config_last_reload_successful (\d)$/m.exec(body)?.[1]);
}

/** Of the certificate that the agent shows. */
function serialOf(agent: AgentProcess): Promise<string> {
  const { port, hostname } = new URL(agent.url);
  return new Promise((resolve, reject) => {
    const ca = readFileSync(pki.path('ca.pem'));
    const socket = connect({ port: Number(port), host: hostname, ca }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}
