// House rule: nothing in the project depends on, or tells of, the machine that it was written on.

import { expect, test } from 'vitest';
import { projectFiles, textOf } from './project_files.ts';

/** Put together from pieces, so that this file does not break its own rule. */
const FORBIDDEN: readonly { readonly pattern: RegExp; readonly what: string }[] = [
  { pattern: pieces('/wo', 'rk/(main|shared|\\.)'), what: 'a folder of one machine' },
  { pattern: pieces('\\.\\./sha', 'red\\b'), what: 'a folder outside the project' },
  { pattern: pieces('/ho', 'me/[a-z]|/ro', 'ot/'), what: "somebody's home folder" },
  { pattern: pieces('npm', 'js\\.|registry\\.ya', 'rn'), what: 'a package registry' },
  { pattern: pieces('\\bdeb\\.deb', 'ian|node', 'source'), what: 'a package mirror' },
  { pattern: pieces('work', 'place|sub-?', 'agent'), what: 'who wrote it' },
];

function pieces(...parts: readonly string[]): RegExp {
  return new RegExp(parts.join(''), 'i');
}

/** Licence texts are not ours to edit. */
const TEXTS_OF_OTHERS = ['LICENSE', 'bpf/LICENSE'];

test('no file names a registry, a mirror or a folder of one machine', () => {
  const found = projectFiles()
    .filter((file) => !TEXTS_OF_OTHERS.includes(file))
    .flatMap((file) =>
      textOf(file)
        .split('\n')
        .flatMap((line, index) =>
          FORBIDDEN.filter(({ pattern }) => pattern.test(line)).map(
            ({ what }) => `${file}:${index + 1}: ${what}`,
          ),
        ),
    );
  expect(found, 'use a relative path, or leave the name out').toEqual([]);
});

test('package-lock.json leaves it to npm where packages come from', () => {
  const lock = textOf('package-lock.json');
  const advice = 'run `npm install --omit-lockfile-registry-resolved` and commit the result';
  expect(lock.includes('"resolved"'), advice).toBe(false);
});
