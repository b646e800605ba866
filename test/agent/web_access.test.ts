// When the web configuration is read again. What a running agent makes of it is in test/e2e.

import { rmSync, statSync, utimesSync } from 'node:fs';
import { posix } from 'node:path';
import { pino } from 'pino';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { WebAccess } from '../../src/agent/web_access.ts';
import { buildApp } from '../../src/serve/app.ts';
import { listen } from '../../src/serve/listen.ts';
import { scratch } from '../e2e/scratch.ts';
import { textOf } from '../repo/project_files.ts';
import { ask, fakeSource } from '../serve/harness.ts';

const files = scratch();
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

test('a file that says that nobody has to log in is believed after a while', async () => {
  const { file, url, lines } = await served(WITH_USERS);
  files.write('web.yml', '');
  sinceChangeMs(file, 300);
  expect((await ask(url)).status).toBe(200);
  expect(lines).toEqual([expect.objectContaining({ msg: 'web configuration reloaded', users: 0 })]);
});

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
  visit('src/cli/main.ts');
  expect(loaded.size).toBeGreaterThan(50);
  const parts = ['src/agent/web_access.ts', 'src/serve/access.ts', 'src/serve/basic_auth.ts'];
  const found = [...loaded].filter((file) => parts.includes(file) || file.includes('/web_config'));
  expect(found, 'import() it where it is needed').toEqual([]);
});
