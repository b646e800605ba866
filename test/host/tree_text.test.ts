// Trees as text: every text among the fixtures, each way to write a file, texts with a mistake, and the
// script that writes them.

import { execFileSync } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listDevices } from '../../src/host/devices.ts';
import { pack, unpack } from './tree_text.ts';

const FIXTURES = fileURLToPath(new URL('fixtures', import.meta.url));
const TEXTS = ['machines', 'proc'].flatMap((folder) =>
  readdirSync(join(FIXTURES, folder))
    .filter((file) => file.endsWith('.txt'))
    .map((file) => `${folder}/${file}`),
);
const ADVICE = 'run: npx tsx test/host/pack_machine.ts FILE FILE';

let scratch: string;
let made = 0;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'rxscope-tree-'));
});

afterAll(() => rmSync(scratch, { recursive: true }));

function emptyFolder(): string {
  const folder = join(scratch, String(made++));
  mkdirSync(folder);
  return folder;
}

/** The text of a folder with this one file. */
function packed(contents: string | Uint8Array): string {
  const folder = emptyFolder();
  writeFileSync(join(folder, 'one'), contents);
  return pack(folder, '');
}

/** What is in the file `one` of a tree. */
function unpacked(text: string): Buffer {
  const folder = emptyFolder();
  unpack(text, folder);
  return readFileSync(join(folder, 'one'));
}

describe.each(TEXTS)('%s', (file) => {
  const text = readFileSync(join(FIXTURES, file), 'utf8');

  test('is what its tree is written as', () => {
    const folder = emptyFolder();
    const about = unpack(text, folder, file);
    expect(pack(folder, about), ADVICE).toBe(text);
  });

  test('says at the top whether it is captured or modelled', () => {
    expect(text).toMatch(/^# (Captured|Modelled)\b/);
  });
});

test('a tree of everything has the text that the description shows', () => {
  const folder = emptyFolder();
  mkdirSync(join(folder, 'sys/bus/pci'), { recursive: true });
  mkdirSync(join(folder, 'proc'));
  symlinkSync('../sys/not there', join(folder, 'proc/away'));
  writeFileSync(join(folder, 'sys/mtu'), '1500\n');
  writeFileSync(join(folder, 'proc/stat'), ' cpu \n\n\tlast\n');
  writeFileSync(join(folder, 'proc/mtu'), '1500\n');
  writeFileSync(join(folder, 'proc/name'), 'a\nb');
  writeFileSync(join(folder, 'proc/none'), '');
  writeFileSync(join(folder, 'sys/config'), Uint8Array.of(0, 255, 10));
  const text = [
    '# Modelled.',
    '#',
    '# Two paragraphs.',
    '',
    'link proc/away -> ../sys/not there',
    '',
    'folder sys/bus/pci',
    '',
    ...['file proc/mtu', 'file sys/mtu', '|1500', ''],
    ...['file proc/name', '|a', '|b', 'no newline', ''],
    ...['file proc/none', 'empty', ''],
    ...['file proc/stat', '| cpu ', '|', '|\tlast', ''],
    ...['file sys/config', 'hex 00ff0a', ''],
  ].join('\n');
  const about = 'Modelled.\n\nTwo paragraphs.';
  expect(pack(folder, about)).toBe(text);

  const copy = emptyFolder();
  expect(unpack(text, copy)).toBe(about);
  expect(readdirSync(copy, { recursive: true }).sort()).toEqual(
    readdirSync(folder, { recursive: true }).sort(),
  );
  expect(readlinkSync(join(copy, 'proc/away'))).toBe('../sys/not there');
  expect(lstatSync(join(copy, 'sys/bus/pci')).isDirectory()).toBe(true);
  expect(pack(copy, about)).toBe(text);
});

test.each([
  ['looks like the form itself', 'file a\n|b\nhex 00\nempty\nno newline\n# c\n', '|file a'],
  ['ends in empty lines', 'a\n\n\n', '|a\n|\n|\n'],
  ['is one empty line', '\n', '|\n'],
  ['has letters beyond ASCII', 'Ärger → 🐝\n', '|Ärger → 🐝'],
  ['has a carriage return', 'a\r\n', 'hex 610d0a'],
  ['has a mark of byte order', '\ufeffa\n', 'hex efbbbf610a'],
  ['has a character that parts lines', 'a\u2028b\n', 'hex 61e280a8620a'],
  ['is no UTF-8', Uint8Array.of(0xc3, 10), 'hex c30a'],
  ['is long and no text', new Uint8Array(33), `hex ${'00'.repeat(32)}\nhex 00\n`],
])('a file that %s comes back byte by byte', (_, contents, shown) => {
  const text = packed(contents);
  expect(text).toContain(`file one\n${shown}`);
  expect(unpacked(text)).toEqual(Buffer.from(contents));
});

test('any bytes and any text come back', () => {
  const line = fc.constantFrom('\n', '|', 'hex 00', 'no newline', 'empty', '#', ' ', '\t', 'ü');
  const text = fc.array(fc.oneof(line, fc.string())).map((parts) => Buffer.from(parts.join('')));
  const bytes = fc.uint8Array({ maxLength: 100 }).map((array) => Buffer.from(array));
  fc.assert(
    fc.property(fc.oneof(text, bytes), (contents) => {
      expect(unpacked(packed(contents))).toEqual(contents);
    }),
    { numRuns: 300 },
  );
});

test.each([
  ['a stray line', ['file a', '|1', '2'], '3: no file, link or folder begins here: 2'],
  [
    'a comment below the top',
    ['# a', 'folder a', '# b'],
    '3: no file, link or folder begins here: # b',
  ],
  ['a file without contents', ['file a', '', '|1'], '2: no contents: |text, hex or empty'],
  ['a file without contents at the end', ['file a'], '2: no contents: |text, hex or empty'],
  ['contents of no file', ['', '|1'], '2: no file, link or folder begins here: |1'],
  ['text and bytes in one', ['file a', '|1', 'hex 00'], '3: no file, link or folder begins'],
  ['bytes without newline', ['file a', 'hex 00', 'no newline'], '3: no file, link or folder'],
  ['half a byte', ['file a', 'hex 00', 'hex 0'], '3: no hexadecimal bytes'],
  ['a link without target', ['link a'], '1: link PATH -> TARGET: no target'],
  ['a link to nothing', ['link a -> '], '1: link PATH -> TARGET: no target'],
  ['no path', ['folder '], '1: no file, link or folder begins here: folder '],
  ['a path twice', ['file a', 'file b', 'file a', '|1'], '3: a is in line 1 already'],
  ['a link where a file is', ['file a', '|1', 'link a -> b'], '3: a is in line 1 already'],
  ['a file in a file', ['file a/b/c', '|1', 'file a', '|2'], '1: a/b/c cannot be: a is a file in'],
  [
    'a file in a link',
    ['link a -> /', 'file a/b', '|1'],
    '2: a/b cannot be: a is a link in line 1',
  ],
  ['a path from the root', ['file /a', '|1'], '1: not a path that can stand here: "/a"'],
  ['a path that leads out', ['folder a/../../b'], '1: not a path that can stand here: "a/../../b"'],
  ['lines that end as on Windows', ['file a\r', '|1'], '1: not a path that can stand here: "a\\r"'],
])('of %s it says in which line, and writes nothing', (_, lines, message) => {
  const folder = join(emptyFolder(), 'tree');
  const text = lines.join('\n');
  expect(() => unpack(text, folder, 'made.txt')).toThrow(`made.txt:${message}`);
  expect(() => lstatSync(folder)).toThrow('ENOENT');
});

test.each(['a -> b', ' a', 'a\nb'])('a name that cannot stand in a line is refused: %j', (name) => {
  const folder = emptyFolder();
  writeFileSync(join(folder, name), '');
  expect(() => pack(folder, '')).toThrow('not a path that can stand here');
});

describe('pack_machine.ts', () => {
  function run(...words: string[]): void {
    const script = fileURLToPath(new URL('pack_machine.ts', import.meta.url));
    execFileSync(process.execPath, ['--import', 'tsx', script, ...words]);
  }

  test('puts a text that was edited by hand in order, and keeps its top', () => {
    const file = join(emptyFolder(), 'one.txt');
    writeFileSync(file, '# Modelled.\n\nfile b\n|1\nfile c\n|2\nfile a\n|1\nlink d -> a');
    run(file, file);
    const text = '# Modelled.\n\nlink d -> a\n\nfile a\nfile b\n|1\n\nfile c\n|2\n';
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  test('writes a folder, or else this machine, with a top that is to be written', () => {
    const folder = emptyFolder();
    writeFileSync(join(folder, 'a'), '1\n');
    run(join(scratch, 'folder.txt'), folder);
    expect(readFileSync(join(scratch, 'folder.txt'), 'utf8')).toMatch(
      /^# To be written: .*\n\nfile a\n\|1\n$/,
    );
    run(join(scratch, 'this.txt'));
    const tree = join(scratch, 'this');
    unpack(readFileSync(join(scratch, 'this.txt'), 'utf8'), tree);
    expect(listDevices(join(tree, 'sys')).map(({ name }) => name)).toContain('lo');
  });
});
