// A tree of files as one text that a person can read, compare and edit by hand:
//
//   # What the tree is and where it comes from: lines at the top, and only there.
//
//   link sys/class/net/lo -> ../../devices/virtual/net/lo
//   folder sys/bus/pci
//
//   file sys/devices/virtual/net/lo/ifindex
//   file sys/devices/virtual/net/lo/queues/rx-0/rps_cpus
//   |1
//
// Files with the same contents stand together, above their contents, which are one of these:
//
//   |text         a line behind a bar, as it is; as many as there are
//   no newline    below the last of them: it has no newline at its end
//   hex 00ff      bytes, where they are no plain text; as many lines as it takes
//   empty         no bytes
//
// A folder is named only when nothing is in it. Blank lines stand between such groups and mean nothing.
// Owners, modes and times are not kept.

import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

type Entry = { readonly line: number } & (
  | { readonly kind: 'file'; readonly contents: Uint8Array }
  | { readonly kind: 'link'; readonly to: string }
  | { readonly kind: 'folder' }
);

const ARROW = ' -> ';
const HEX_BYTES = 32;

/** Characters that do not show, or that an editor may change. */
const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]/u;

/**
 * Writes the tree into a folder, made if need be, and returns what is said at the top. Throws on text
 * that is not of this form, with the number of the line, before it writes anything; `name` is the
 * text's in such errors.
 */
export function unpack(text: string, folder: string, name = 'tree'): string {
  const entries = entriesOf(text.split('\n'), name);
  mkdirSync(folder, { recursive: true });
  for (const [path, entry] of entries) {
    const target = join(folder, path);
    mkdirSync(entry.kind === 'folder' ? target : dirname(target), { recursive: true });
    if (entry.kind === 'file') writeFileSync(target, entry.contents);
    if (entry.kind === 'link') symlinkSync(entry.to, target);
  }
  return openingOf(text);
}

/** What is said at the top. */
export function openingOf(text: string): string {
  const lines = text.split('\n');
  return lines
    .slice(0, endOfOpening(lines))
    .map((line) => line.replace(/^# ?/, ''))
    .join('\n');
}

/** The text of a folder, always the same for the same tree, with `about` at its top. */
export function pack(folder: string, about: string): string {
  const links: string[] = [];
  const folders: string[] = [];
  const files = new Map<string, string[]>();
  const add = (path: string): void => {
    const source = join(folder, path);
    const stat = lstatSync(source);
    if (path !== '') checkPath(path, `${folder}: `);
    if (stat.isSymbolicLink()) {
      const to = readlinkSync(source);
      if (UNSEEN.test(to)) throw new Error(`${source}: a link that cannot stand in a line`);
      links.push(`link ${path}${ARROW}${to}`);
    } else if (stat.isFile()) {
      const contents = contentsText(readFileSync(source));
      files.set(contents, [...(files.get(contents) ?? []), `file ${path}`]);
    } else if (stat.isDirectory()) {
      const names = readdirSync(source).sort();
      if (names.length === 0 && path !== '') folders.push(`folder ${path}`);
      for (const one of names) add(path === '' ? one : `${path}/${one}`);
    } else {
      throw new Error(`${source}: no file, link or folder`);
    }
  };
  add('');
  const top = about === '' ? [] : about.split('\n').map((line) => `# ${line}`.trimEnd());
  const groups = [top, links, folders, ...[...files].map(([text, paths]) => [...paths, text])];
  return groups
    .filter((group) => group.length > 0)
    .map((group) => `${group.join('\n')}\n`)
    .join('\n');
}

function endOfOpening(lines: readonly string[]): number {
  const end = lines.findIndex((line) => !line.startsWith('#'));
  return end < 0 ? lines.length : end;
}

/** By path. */
function entriesOf(lines: readonly string[], name: string): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  const add = (path: string, entry: Entry): void => {
    const where = `${name}:${entry.line}: `;
    checkPath(path, where);
    const other = entries.get(path);
    if (other !== undefined) throw new Error(`${where}${path} is in line ${other.line} already`);
    entries.set(path, entry);
  };
  let at = endOfOpening(lines);
  while (at < lines.length) {
    const line = lines[at] ?? '';
    const [, kind, rest = ''] = /^(file|link|folder) (.+)$/s.exec(line) ?? [];
    if (kind === 'file') {
      const first = at;
      while (lines[at]?.startsWith('file ')) at++;
      const paths = lines.slice(first, at).map((one) => one.slice('file '.length));
      const { contents, end } = contentsAt(lines, at, name);
      for (const [index, path] of paths.entries()) {
        add(path, { line: first + index + 1, kind, contents });
      }
      at = end;
      continue;
    }
    if (kind === 'link') {
      const [path = '', to = ''] = rest.split(ARROW, 2);
      if (to === '') throw new Error(`${name}:${at + 1}: link PATH${ARROW}TARGET: no target`);
      add(path, { line: at + 1, kind, to: rest.slice(path.length + ARROW.length) });
    } else if (kind === 'folder') {
      add(rest, { line: at + 1, kind });
    } else if (line !== '') {
      throw new Error(`${name}:${at + 1}: no file, link or folder begins here: ${line}`);
    }
    at++;
  }
  checkParents(entries, name);
  return entries;
}

/** Nothing may be written through a link, which may lead anywhere, or below a file. */
function checkParents(entries: ReadonlyMap<string, Entry>, name: string): void {
  for (const [path, { line }] of entries) {
    for (let above = dirname(path); above !== '.'; above = dirname(above)) {
      const parent = entries.get(above);
      if (parent === undefined || parent.kind === 'folder') continue;
      const what = `${above} is a ${parent.kind} in line ${parent.line}`;
      throw new Error(`${name}:${line}: ${path} cannot be: ${what}`);
    }
  }
}

function checkPath(path: string, where: string): void {
  const odd = path.split('/').some((part) => ['', '.', '..'].includes(part));
  if (odd || path.includes(ARROW) || path !== path.trim() || UNSEEN.test(path)) {
    throw new Error(`${where}not a path that can stand here: ${JSON.stringify(path)}`);
  }
}

/** What stands at this index, and the index behind it. */
function contentsAt(
  lines: readonly string[],
  start: number,
  name: string,
): { contents: Uint8Array; end: number } {
  if (lines[start] === 'empty') return { contents: new Uint8Array(), end: start + 1 };
  let end = start;
  while (lines[end]?.startsWith('hex ')) end++;
  if (end > start) {
    const digits = lines.slice(start, end).map((line) => line.slice('hex '.length));
    const bad = digits.findIndex((one) => !/^([0-9a-f]{2})+$/.test(one));
    if (bad >= 0) throw new Error(`${name}:${start + bad + 1}: no hexadecimal bytes`);
    return { contents: Buffer.from(digits.join(''), 'hex'), end };
  }
  while (lines[end]?.startsWith('|')) end++;
  if (end === start) throw new Error(`${name}:${end + 1}: no contents: |text, hex or empty`);
  const text = lines.slice(start, end).map((line) => line.slice(1));
  if (lines[end] === 'no newline') return { contents: Buffer.from(text.join('\n')), end: end + 1 };
  return { contents: Buffer.from(`${text.join('\n')}\n`), end };
}

function contentsText(bytes: Buffer): string {
  if (bytes.length === 0) return 'empty';
  const text = bytes.toString();
  if (!Buffer.from(text).equals(bytes) || UNSEEN.test(text.replace(/[\t\n]/g, ''))) {
    const rows = bytes.toString('hex').match(new RegExp(`.{1,${HEX_BYTES * 2}}`, 'g')) ?? [];
    return rows.map((row) => `hex ${row}`).join('\n');
  }
  const lines = text.split('\n');
  const whole = lines.at(-1) === '';
  const shown = (whole ? lines.slice(0, -1) : lines).map((line) => `|${line}`);
  return [...shown, ...(whole ? [] : ['no newline'])].join('\n');
}
