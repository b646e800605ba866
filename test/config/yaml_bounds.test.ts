// Files that are small, or no larger than a configuration may be, and written to keep a parser busy: each
// is refused, or read, within a second and in a few lines, as `run`, `check-config` and SIGHUP read them.

import { describe, expect, test } from 'vitest';
import { effectiveConfig } from '../../src/config/load.ts';
import { ConfigError, PROBLEMS_MAX } from '../../src/config/problem.ts';
import { readWebConfig } from '../../src/config/web_config_file.ts';
import { ALIASES_MAX, DEPTH_MAX, PIECES_MAX } from '../../src/config/yaml_bounds.ts';
import { scratch } from '../e2e/scratch.ts';

/** Of CPU time: what else the machine does is not the file's fault. */
const READ_MS_MAX = 1_000;
const MIB = 1024 * 1024;

const files = scratch();
const aliases = /: too many aliases; write the values out/;
const pieces = new RegExp(`more than ${PIECES_MAX} words and marks, expected a configuration`);
const deep = new RegExp(`nested more than ${DEPTH_MAX} deep, expected 5 levels at most`);

function filled(unit: string, bytes = MIB): string {
  return unit.repeat(Math.floor(bytes / unit.length));
}

function numbered(count: number, line: (i: number) => string): string {
  return Array.from({ length: count }, (_, i) => line(i)).join('');
}

const HOSTILE: readonly (readonly [title: string, yaml: string, first: RegExp])[] = [
  ['15 KB of aliases', `a: &a 1\nb:\n${filled('- *a\n', 15_000)}`, aliases],
  ['30 KB of aliases', `a: &a 1\nb: [${filled('*a, ', 30_000)}]\n`, aliases],
  ['a megabyte of aliases', `a: &a 1\nb:\n${filled('- *a\n', MIB - 100)}`, aliases],
  ['aliases of anchors that are not there', filled('- *nowhere\n'), aliases],
  ['aliases as keys', numbered(5_003, (i) => `? *a${i}\n: 1\n`), aliases],
  ['anchors without aliases', numbered(30_011, (i) => `- &a${i} 1\n`), pieces],
  ['lists in lists', filled('['), deep],
  ['a list in a list, often enough', '['.repeat(101), deep],
  ['mappings in mappings', filled('{a: '), deep],
  ['lists in lists, as dashes', filled('- '), deep],
  ['keys of keys', filled('? '), deep],
  ['indentation', numbered(1_009, (i) => `${' '.repeat(i)}a:\n`), deep],
  ['a hundred thousand keys', numbered(90_001, (i) => `k${i}: 1\n`), pieces],
  ['as many keys as are read', numbered(2_801, (i) => `k${i}: 1\n`), /unknown setting/],
  ['one key again and again', filled('a: 1\n'), pieces],
  ['one key as often as is read', 'a: 1\n'.repeat(2_801), /the key stands twice|unknown setting/],
  ['a flow mapping', `{${numbered(6_001, (i) => `k${i},`)}}`, /unknown setting|nothing/],
  ['documents', filled('---\n'), pieces],
  ['brackets that close nothing', filled('}'), pieces],
  ['quotes', filled('"'), pieces],
  ['escapes that are none', `a: "${filled('\\x', MIB - 100)}"\n`, pieces],
  ['lines that are no YAML', filled('@\n'), /reserved character|not valid YAML/],
  ['directives', filled('%YAML 1.2\n'), pieces],
  ['tabs', filled('a:\n\tb: 1\n', 15_000), /tabs are not allowed|not valid YAML/],
  ['a key of a megabyte', `? ${'a'.repeat(MIB - 100)}\n: 1\n`, /unknown setting/],
  [
    'a value of a megabyte',
    `log: ${'a'.repeat(MIB - 100)}\n`,
    /expected a mapping|unknown setting/,
  ],
  ['a set of YAML 1.1', `%YAML 1.1\n---\n!!set\n${numbered(4_001, (i) => `? k${i}\n`)}`, /./],
  [
    'merge keys of YAML 1.1',
    `%YAML 1.1\n---\na: &a {${numbered(2_003, (i) => `a${i}: 1,`)}}\n` +
      numbered(97, (i) => `k${i}: { <<: *a }\n`),
    /unknown setting|too many aliases/,
  ],
  [
    'a megabyte that stands in many places',
    `log: &a ${'x'.repeat(MIB - 500)}\nweb: [${filled('*a, ', 200)}]\n`,
    /./,
  ],
];

describe('is read within a second, and told in a few lines', () => {
  test.each(HOSTILE)('%s', (_title, yaml, first) => {
    const file = files.write('hostile.yaml', yaml);
    const [ms, problems] = timed(() => settingsProblems(file));
    expect(ms).toBeLessThan(READ_MS_MAX);
    tellsInAFewLines(problems, first);

    const [webMs, read] = timed(() => readWebConfig(file));
    expect(webMs).toBeLessThan(READ_MS_MAX);
    tellsInAFewLines('problems' in read ? read.problems : [], first);
  });
});

function tellsInAFewLines(problems: readonly string[], first: RegExp): void {
  expect(problems[0]).toMatch(first);
  // Of the text, and of the settings; each may end with how many more there are.
  expect(problems.length).toBeLessThanOrEqual(2 * (PROBLEMS_MAX + 1));
  for (const problem of problems) expect(problem.length).toBeLessThan(700);
}

test('what is too much is told once, with its line', () => {
  const file = files.write('hostile.yaml', `a: &a 1\nb:\n${'- *a\n'.repeat(ALIASES_MAX + 1)}`);
  expect(settingsProblems(file)).toEqual([
    `${file}: line ${ALIASES_MAX + 3}, column 3: too many aliases; write the values out, in "- *a"`,
  ]);
  expect(readWebConfig(file)).toMatchObject({
    problems: [
      `${file}: line ${ALIASES_MAX + 3}, column 3: too many aliases; write the values out`,
    ],
  });
});

test('of many problems the first are told, and how many there are', () => {
  const file = files.write(
    'hostile.yaml',
    numbered(101, (i) => `k${i}: 1\n`),
  );
  const problems = settingsProblems(file);
  expect(problems).toHaveLength(PROBLEMS_MAX + 1);
  expect(problems.at(-1)).toBe(`${file}: and ${101 - PROBLEMS_MAX} more problems`);
  files.write('hostile.yaml', 'a: @\n'.repeat(101));
  expect(settingsProblems(file).at(-1)).toBe(
    `${file}: and ${101 - PROBLEMS_MAX} more lines that are wrong`,
  );
});

test('a web configuration with a thousand users is none of these', () => {
  const hash = '$2b$04$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi';
  const yaml = `basic_auth_users:\n${numbered(1_009, (i) => `  user${i}: ${hash} # one\n`)}`;
  const [ms, read] = timed(() => readWebConfig(files.write('web.yaml', yaml)));
  expect(ms).toBeLessThan(READ_MS_MAX);
  expect('config' in read && read.config.users.size).toBe(1_009);
});

function settingsProblems(configFile: string): readonly string[] {
  try {
    effectiveConfig({ configFile });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

function timed<T>(read: () => T): readonly [ms: number, value: T] {
  const before = process.cpuUsage();
  const value = read();
  const { user, system } = process.cpuUsage(before);
  return [(user + system) / 1000, value];
}
