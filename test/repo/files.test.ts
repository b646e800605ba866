// House rules about single files: each says what it is, is short enough to read, and is typed.

import { expect, test } from 'vitest';
import { projectFiles, sourceFiles, textOf } from './project_files.ts';

const LINES_MAX = 400;

/** Longer files that are one idea, with the reason. */
const MAY_BE_LONG: Readonly<Record<string, string>> = {
  'test/config/bad_config.test.ts': 'a table: a bad configuration and its exact message a row',
  'test/config/web_config.test.ts':
    'two tables: a file, good or bad, and what is said of it, a row',
};

test('every source file opens with a comment that says what it is', () => {
  const silent = sourceFiles().filter((file) => {
    const opening = textOf(file).replace(/^#!.*\n/, '');
    return !/^(\/\/ \S|\/\*|#!)/.test(opening);
  });
  expect(silent, 'open it with one to five lines: what it is, what it leaves to others').toEqual(
    [],
  );
});

test(`no source file has more than ${LINES_MAX} lines`, () => {
  const long = sourceFiles()
    .filter((file) => MAY_BE_LONG[file] === undefined)
    .map((file) => ({ file, lines: textOf(file).split('\n').length - 1 }))
    .filter(({ lines }) => lines > LINES_MAX)
    .map(({ file, lines }) => `${file}: ${lines}`);
  expect(long, 'split it, or give the reason in MAY_BE_LONG in test/repo/files.test.ts').toEqual(
    [],
  );
});

test('every exception for a long file is still needed', () => {
  const files = projectFiles();
  const idle = Object.keys(MAY_BE_LONG).filter(
    (file) => !files.includes(file) || textOf(file).split('\n').length - 1 <= LINES_MAX,
  );
  expect(idle, 'remove it from MAY_BE_LONG in test/repo/files.test.ts').toEqual([]);
});

test('no TypeScript file turns the type checker off', () => {
  const untyped = sourceFiles()
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) =>
      codeLines(file)
        .filter(({ code }) => /@ts-(ignore|nocheck)\b|(:|\bas|<|\|)\s*any\b/.test(code))
        .map(({ line }) => `${file}:${line}`),
    );
  expect(untyped, 'name the type, or use unknown and check it').toEqual([]);
});

/** Lines with their numbers, less string literals and prose comments, where "any" is a word. */
function codeLines(file: string): { line: number; code: string }[] {
  return textOf(file)
    .split('\n')
    .map((text, index) => ({
      line: index + 1,
      code: text.replace(/'[^']*'|`[^`]*`/g, "''").replace(/(\/\/|^\s*\/?\*)(?!\s*@ts-).*$/, ''),
    }));
}
