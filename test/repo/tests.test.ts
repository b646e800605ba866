// House rules about the tests themselves, and about the tools that are installed for them.

import { expect, test } from 'vitest';
import { projectFiles, textOf } from './project_files.ts';

test('no test is skipped, focused or left to be written', () => {
  const pattern = /\b(describe|test|it|suite)\.(skip|only|todo|skipIf|runIf|fails)\b/;
  const found = testFiles().flatMap((file) =>
    textOf(file)
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}`] : [])),
  );
  expect(found, 'run it always, or delete it').toEqual([]);
});

test('every test file is one that the runner picks up', () => {
  const using = testFiles().filter((file) => /^\s*(test|it)\(/m.test(textOf(file)));
  const missed = using.filter((file) => !file.endsWith('.test.ts'));
  expect(missed, 'name it *.test.ts').toEqual([]);
});

test('each tool that `npm test` installs is called by a test or a benchmark', () => {
  const list =
    textOf('tools/setup/packages.mjs').split('TEST_PACKAGES = ')[1]?.split('];')[0] ?? '';
  const packages = [...list.matchAll(/name: '([^']+)'[^[]*commands: \[([^\]]+)\]/g)];
  expect(packages.length).toBeGreaterThan(0);
  const tests = projectFiles()
    .filter((file) => /^test\/(?!repo\/|setup\/).*\.(ts|mjs|sh)$/.test(file))
    .map(textOf)
    .join('\n');
  const idle = packages
    .filter(([, , commands]) => {
      const names = [...(commands ?? '').matchAll(/'([^']+)'/g)].map((match) => match[1] ?? '');
      return !names.some((name) => new RegExp(`['"\`/ ]${name}['"\` :]`).test(tests));
    })
    .map(([, name]) => name);
  expect(idle, 'remove it from TEST_PACKAGES in tools/setup/packages.mjs').toEqual([]);
});

function testFiles(): string[] {
  return projectFiles().filter((file) => /^test\/.*\.(ts|mjs)$/.test(file));
}
