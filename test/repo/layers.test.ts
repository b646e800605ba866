// House rule: data flows one way through src/, so imports do too.

import { posix } from 'node:path';
import { expect, test } from 'vitest';
import { projectFiles, textOf } from './project_files.ts';

/** What the files of a folder may import besides their own folder. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  stages: [],
  probes: [],
  host: [],
  capture: ['stages', 'probes'],
  readings: ['stages', 'probes', 'capture', 'host'],
  metrics: ['stages', 'probes', 'capture', 'host', 'readings'],
  serve: ['readings', 'metrics'],
  config: ['probes'],
  publish: ['stages', 'probes', 'readings', 'metrics', 'config'],
  agent: ['stages', 'probes', 'host', 'readings', 'metrics', 'capture', 'serve', 'config'],
  cli: [
    'stages',
    'probes',
    'host',
    'readings',
    'metrics',
    'capture',
    'serve',
    'config',
    'agent',
    'publish',
  ],
  // Runs before anything is installed or compiled.
  setup: [],
};

test('every folder of src has its place in the order of layers', () => {
  const folders = new Set(sources().map(folderOf));
  const unknown = [...folders].filter((folder) => MAY_IMPORT[folder] === undefined);
  expect(unknown, 'add the folder to MAY_IMPORT in test/repo/layers.test.ts').toEqual([]);
});

test('no file imports against the order of layers', () => {
  const wrong = sources().flatMap((file) =>
    importsOf(file)
      .filter((target) => target.startsWith('src/'))
      .filter((target) => !isAllowed(folderOf(file), folderOf(target)))
      .map((target) => `${file} imports ${target}`),
  );
  expect(wrong, 'move what is shared to a lower layer; see MAY_IMPORT for the order').toEqual([]);
});

test('nothing below src imports from the tests', () => {
  const wrong = sources().filter((file) => importsOf(file).some((to) => to.startsWith('test/')));
  expect(wrong, 'move what the product needs from test/ to src/').toEqual([]);
});

test('the set-up imports only Node and itself, since it runs before npm ci', () => {
  const wrong = sources()
    .filter((file) => folderOf(file) === 'setup')
    .flatMap((file) =>
      specifiersOf(file)
        .filter((one) => !/^(node:|\.\/)/.test(one))
        .map((one) => `${file} imports ${one}`),
    );
  expect(wrong, 'write it with what Node has').toEqual([]);
});

function isAllowed(from: string, to: string): boolean {
  return from === to || (MAY_IMPORT[from] ?? []).includes(to);
}

function sources(): string[] {
  return projectFiles().filter((file) => /^src\/.*\.(ts|mjs)$/.test(file));
}

function folderOf(file: string): string {
  return file.split('/')[1] ?? '';
}

/** The relative imports of a file, as paths from the top folder. */
function importsOf(file: string): string[] {
  return specifiersOf(file)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => posix.join(posix.dirname(file), specifier));
}

function specifiersOf(file: string): string[] {
  const patterns = [
    /^(?:import\s|export\s+(?:type\s+)?[{*])[^'";]*?\bfrom\s+'([^']+)'/gm,
    /^import\s+'([^']+)'/gm,
    /\bimport\(\s*'([^']+)'\s*\)/g,
  ];
  const text = textOf(file);
  return patterns.flatMap((one) => [...text.matchAll(one)].map((match) => match[1] ?? ''));
}
