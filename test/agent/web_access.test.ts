// When the web configuration is read again. What a running agent makes of it is in test/e2e.

import { rmSync, statSync, utimesSync } from 'node:fs';
import { posix } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { WebAccess } from '../../src/agent/web_access.ts';
import { buildApp } from '../../src/serve/app.ts';
import { listen } from '../../src/serve/listen.ts';
import { scratch } from '../e2e/scratch.ts';
import { textOf } from '../repo/project_files.ts';
import { certificates } from '../serve/certificates.ts';
import { ask, fakeSource } from '../serve/harness.ts';

const files = scratch();
const pki = certificates();
beforeAll(() => {
  pki.authority('ca');
  pki.issue('server', { sans: 'IP:127.0.0.1' });
});
const HASH = '$2b$04$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi';
const WITH_USERS = `basic_auth_users: { a: ${HASH} }\n`;
afterEach(() => {
  vi.useRealTimers();
});

async function served(yaml: string) {
  const file = files.write('web.yml', yaml);
  const lines: { level: number; msg: string; problem?: string }[] = [];
  const log = pino(
    { level: 'info', base: null },
    { write: (line) => lines.push(JSON.parse(line)) },
  );
  const web = new WebAccess(file, log);
  const app = buildApp(fakeSource(), { requestsInFlightMax: 40, access: web.access() });
  onTestFinished(() => app.close());
  return { file, web, lines, url: await listen(app, '127.0.0.1:0') };
}

/** As if so much time had passed since the file was changed. */
function sinceChangeMs(file: string, ms: number): void {
  vi.useFakeTimers({ toFake: ['Date'] });
  vi.setSystemTime(statSync(file).ctimeMs + ms);
}

test('a file that was changed this very moment is not read yet: it may be half written', async () => {
  const { file, url, lines } = await served(WITH_USERS);
  expect((await ask(url)).status).toBe(401);
  // What a program leaves between opening a file anew and writing it.
  files.write('web.yml', '');
  sinceChangeMs(file, 100);
  expect((await ask(url)).status).toBe(401);
  files.write('web.yml', `${WITH_USERS}# written\n`);
  sinceChangeMs(file, 300);
  expect((await ask(url)).status).toBe(401);
  expect(lines.map(({ msg }) => msg)).toEqual(['web configuration reloaded']);
});

describe('a file that would open what was closed leaves the old rules, whatever the time and the way', () => {
  test.each([
    ['nothing', ''],
    ['a comment', '# users follow\n'],
    ['no users yet', 'http_server_config: { headers: { X-Frame-Options: deny } }\n'],
    ['the key of the users', 'basic_auth_users:\n'],
    ['no users, and says so', 'basic_auth_users: {}\n'],
  ])('has %s', async (_what, yaml) => {
    const { file, web, url, lines } = await served(WITH_USERS);
    files.write('web.yml', yaml);
    for (const ms of [100, 300, 86_400_000]) {
      sinceChangeMs(file, ms);
      expect((await ask(url)).status).toBe(401);
    }
    expect(web.reload()).toBe(false);
    expect((await ask(url)).status).toBe(401);
    const told = {
      msg: 'web configuration not reloaded; the old one stays in force',
      problem: `${file}: basic_auth_users: no user is left, so nobody would have to log in; a restart alone opens what was closed`,
    };
    expect(lines).toEqual([expect.objectContaining(told), expect.objectContaining(told)]);
  });

  const VERIFIED = 'client_auth_type: RequireAndVerifyClientCert';
  const CA = 'client_ca_file: ca.pem';
  const SANS = 'client_allowed_sans: [a.example]';
  test.each([
    [[VERIFIED, CA], [], ['client_auth_type: clients would no longer need a certificate']],
    [
      [VERIFIED, CA],
      ['client_auth_type: VerifyClientCertIfGiven', CA],
      ['client_auth_type: clients would no longer need a certificate'],
    ],
    [
      [VERIFIED, CA],
      ['client_auth_type: RequireAnyClientCert'],
      ['client_auth_type: any certificate of a client would do'],
    ],
    [
      [VERIFIED, CA],
      [VERIFIED],
      ['client_ca_file: a certificate of any public authority would do'],
    ],
    [
      [VERIFIED, CA, SANS],
      [VERIFIED, CA],
      ['client_allowed_sans: any name in a certificate would do'],
    ],
    [
      ['client_auth_type: VerifyClientCertIfGiven', CA],
      ['client_auth_type: RequestClientCert'],
      ['client_auth_type: any certificate of a client would do'],
    ],
    [[], [VERIFIED, CA], []],
    [[VERIFIED, CA], [VERIFIED, CA, SANS], []],
    [['client_auth_type: RequireAnyClientCert'], [VERIFIED, CA], []],
    [[VERIFIED, CA], undefined, ['TLS can be switched off by a restart only']],
  ])('has %j and then %j: %j', (before, after, problems) => {
    pki.write('web.yml', tlsYaml(before));
    const lines: { problem?: string }[] = [];
    const log = pino({ base: null }, { write: (line) => lines.push(JSON.parse(line)) });
    const web = new WebAccess(pki.path('web.yml'), log);
    lines.length = 0;
    pki.write('web.yml', after === undefined ? '' : tlsYaml(after));
    expect(web.reload()).toBe(problems.length === 0);
    const told = lines.flatMap(({ problem }) => problem ?? []);
    expect(
      told.map((line) => line.replace(/; a restart alone opens what was closed$/, '')),
    ).toEqual(
      problems.map((problem) =>
        expect.stringMatching(new RegExp(`web\\.yml: tls_server_config(\\.|: )${problem}$`)),
      ),
    );
  });
});

function tlsYaml(settings: readonly string[]): string {
  const all = ['cert_file: server.pem', 'key_file: server.key', ...settings];
  return `tls_server_config:\n${all.map((line) => `  ${line}\n`).join('')}`;
}

test('a bad file is told once, leaves the old rules, and is told again when it is another', async () => {
  const { file, url, lines } = await served(WITH_USERS);
  const message = 'web configuration not reloaded; the old one stays in force';
  for (const [i, secret] of ['hunter2', 'hunter23'].entries()) {
    files.write('web.yml', `basic_auth_users: { a: ${secret} }\n`);
    sinceChangeMs(file, 300);
    for (let n = 0; n < 3; n++) expect((await ask(url)).status).toBe(401);
    expect(lines.map(({ msg }) => msg)).toEqual(Array(i + 1).fill(message));
  }
  expect(lines[0]?.problem).toMatch(/web\.yml: basic_auth_users\.a: expected a bcrypt hash/);
  expect(JSON.stringify(lines)).not.toContain('hunter2');
});

test('a file that is gone leaves the old rules', async () => {
  const { file, web, lines, url } = await served(WITH_USERS);
  expect(web.reload()).toBe(true);
  rmSync(file);
  expect(web.reload()).toBe(false);
  expect((await ask(url)).status).toBe(401);
  expect(lines.at(-1)?.problem).toMatch(/cannot be read \(ENOENT\)/);
});

test('a time that was set back is a change, too', async () => {
  const { file, lines, url } = await served(WITH_USERS);
  utimesSync(file, 0, 0);
  sinceChangeMs(file, 300);
  await ask(url);
  expect(lines.map(({ msg }) => msg)).toEqual(['web configuration reloaded']);
});

test('none of it is loaded by an agent that is not asked for it', () => {
  const loaded = new Set<string>();
  const visit = (file: string): void => {
    if (loaded.has(file)) return;
    loaded.add(file);
    // Types are gone once it is compiled, and import() is what makes the difference.
    const imports = textOf(file).matchAll(
      /^(?:import|export) (?!type )[^;]*? from '(\.[^']+)';/gms,
    );
    for (const [, path = ''] of imports) visit(posix.join(posix.dirname(file), path));
  };
  visit('src/agent/run.ts');
  visit('src/commands/main.ts');
  expect(loaded.size).toBeGreaterThan(50);
  const parts = ['src/agent/web_access.ts', 'src/serve/access.ts', 'src/serve/basic_auth.ts'];
  const found = [...loaded].filter((file) => parts.includes(file) || file.includes('/web_config'));
  expect(found, 'import() it where it is needed').toEqual([]);
});
