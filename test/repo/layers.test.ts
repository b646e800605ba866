// House rule: data flows one way through src/, so imports do too.

import { posix } from 'node:path';
import { expect, test } from 'vitest';
import { projectFiles, textOf } from './project_files.ts';

/** Commands of more than one file. None knows another. */
const COMMANDS = ['commands/probes', 'commands/record', 'commands/trace'];

/** The folders of src/ from the bottom up: what a folder's files may import besides each other. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  addon: [],
  histogram: [],
  probes: [],
  host: ['addon'],
  capture: ['addon', 'histogram', 'probes'],
  readings: ['histogram', 'probes', 'host', 'capture'],
  metrics: ['histogram', 'probes', 'host', 'capture', 'readings'],
  serve: ['readings', 'metrics'],
  config: ['probes'],
  terminal: ['host'],
  agent: [
    'addon',
    'probes',
    'host',
    'capture',
    'readings',
    'metrics',
    'serve',
    'config',
    'terminal',
  ],
  publish: ['histogram', 'probes', 'readings', 'metrics', 'config'],
  commands: ['addon', 'probes', 'capture', 'config', 'terminal', 'agent', 'publish', ...COMMANDS],
  'commands/probes': [
    'addon',
    'probes',
    'host',
    'capture',
    'config',
    'terminal',
    'agent',
    'commands',
  ],
  'commands/record': [
    'addon',
    'histogram',
    'probes',
    'host',
    'capture',
    'readings',
    'config',
    'terminal',
    'agent',
    'commands',
  ],
  'commands/trace': ['host', 'capture', 'config', 'terminal', 'agent', 'commands'],
};

test('every folder of src has its place in the order of layers', () => {
  const folders = new Set(inProduct().map(folderOf));
  const unknown = [...folders].filter((folder) => MAY_IMPORT[folder] === undefined);
  expect(unknown, 'add the folder to MAY_IMPORT in test/repo/layers.test.ts').toEqual([]);
});

test('no file imports against the order of layers', () => {
  const wrong = inProduct().flatMap((file) =>
    importsOf(file)
      .filter((target) => target.startsWith('src/') || target.startsWith('tools/'))
      .filter((target) => !isAllowed(folderOf(file), folderOf(target)))
      .map((target) => `${file} imports ${target}`),
  );
  expect(wrong, 'move what is shared to a lower layer; see MAY_IMPORT for the order').toEqual([]);
});

test('nothing but a test imports from the tests', () => {
  const wrong = sources().filter((file) => importsOf(file).some((to) => to.startsWith('test/')));
  expect(wrong, 'move what the product needs from test/ to src/').toEqual([]);
});

test('the set-up imports only Node and itself, since it runs before npm ci', () => {
  const wrong = sources()
    .filter((file) => file.startsWith('tools/setup/'))
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

function inProduct(): string[] {
  return sources().filter((file) => file.startsWith('src/'));
}

function sources(): string[] {
  return projectFiles().filter((file) => /^(src|tools)\/.*\.(ts|mjs)$/.test(file));
}

function folderOf(file: string): string {
  const folder = file.split('/')[1] ?? '';
  return COMMANDS.find((one) => file.startsWith(`src/${one}/`)) ?? folder;
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
