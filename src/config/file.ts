// Reads one YAML file into plain data, with every syntax problem and its line.
// What the settings mean is none of its business: see schema.ts.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { type Document, isAlias, isMap, isScalar, type Pair, parseAllDocuments, visit } from 'yaml';
import { firstOf } from './problem.ts';
import { beyondBounds, TOO_MANY_ALIASES } from './yaml_bounds.ts';

export interface SettingsFile {
  /** Undefined when the file is empty, or too broken to say anything. */
  readonly settings: unknown;
  /** One line each, without the file's name. */
  readonly problems: readonly string[];
  /** False when the settings would only yield follow-up errors of the problems. */
  readonly usable: boolean;
}

export interface SettingsFileOptions {
  /** The file holds secrets: no problem quotes it, nor what the YAML parser says of it. */
  readonly secret?: boolean;
}

/** No configuration comes near it: what is larger is the wrong file, or an endless device. */
const FILE_BYTES_MAX = 1024 * 1024;

export function readSettingsFile(
  file: string,
  { secret = false }: SettingsFileOptions = {},
): SettingsFile {
  if (file === '') return broken(['expected the path of a YAML file, got an empty one']);
  const bytes = readBounded(file);
  if (typeof bytes === 'string') return broken([bytes]);
  if (bytes.length > FILE_BYTES_MAX) {
    return broken(['larger than 1 MiB, expected a configuration file; check the path']);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return broken(['not UTF-8 text, expected a YAML file; check the path']);
  }
  return parseSettings(text, secret);
}

function broken(problems: readonly string[]): SettingsFile {
  return { settings: undefined, problems, usable: false };
}

/** So long may a pipe keep everybody waiting: nothing else is done meanwhile, no signal is heard. */
const PIPE_MS_MAX = 1500;
const PIPE_LOOK_MS = 5;

/** The bytes, at most one more than 1 MiB; or why the file cannot be read. */
export function readBounded(file: string): Uint8Array | string {
  let fd: number | undefined;
  try {
    // Else a pipe that nobody writes to keeps us in here for ever.
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const isPipe = fstatSync(fd).isFIFO();
    const bytes = new Uint8Array(FILE_BYTES_MAX + 1);
    const giveUpMs = performance.now() + PIPE_MS_MAX;
    for (let length = 0; ; ) {
      // Reads until the end instead of asking for the size: a pipe has none.
      const read = length < bytes.length ? readSome(fd, bytes, length) : 0;
      length += read ?? 0;
      // The end of a pipe is where somebody has written and is gone, not where nobody has come yet.
      if (read === 0 && !(isPipe && length === 0)) return bytes.subarray(0, length);
      if (read) continue;
      if (performance.now() > giveUpMs) {
        return `it gave nothing more for ${PIPE_MS_MAX / 1000} s; name a regular file, or a pipe that is written and closed`;
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PIPE_LOOK_MS);
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    return `cannot be read (${code}): ${WHY_UNREADABLE[code] ?? 'check the path'}`;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Undefined where there is nothing yet. */
function readSome(fd: number, into: Uint8Array, offset: number): number | undefined {
  try {
    return readSync(fd, into, offset, into.length - offset, null);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined;
    throw error;
  }
}

const WHY_UNREADABLE: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file; check the path',
  ENOTDIR: 'a part of the path is not a directory; check the path',
  EISDIR: 'it is a directory; name the file in it',
  EACCES: 'permission denied; let the user that runs rxscope read it',
  ENXIO: 'it is a socket; name a regular file',
};

function parseSettings(text: string, secret: boolean): SettingsFile {
  const found = new Problems(text, secret);
  const beyond = beyondBounds(text);
  if (beyond !== undefined) {
    found.add(beyond.offset, beyond.message, 'syntax');
    return broken(found.inOrder());
  }
  const documents = parseAllDocuments(text, {
    prettyErrors: false,
    // The parser compares each key with every other one; see duplicates below.
    uniqueKeys: false,
    // The parser's own warnings go to the console otherwise; ours are in `document.warnings`.
    logLevel: 'error',
  });
  const [first, second] = documents;
  for (const { errors, warnings } of 'empty' in documents ? [documents] : documents) {
    for (const { code, message, pos } of [...errors, ...warnings]) {
      if (secret) found.add(pos[0], `not valid YAML (${code})`, 'syntax');
      else found.add(pos[0], `${message.charAt(0).toLowerCase()}${message.slice(1)}`, 'syntax');
    }
  }
  if (first === undefined) {
    // Nothing but comments: every setting has a default.
    return { settings: undefined, problems: found.inOrder(), usable: found.usable };
  }
  if (second !== undefined) {
    found.add(second.range[0], 'a second document begins; expected a single one', 'syntax');
  }
  const anchors = new Set<string>();
  visit(first, {
    Node: (_key, node) => {
      if (isMap(node)) {
        for (const offset of duplicates(node.items)) {
          found.add(offset, 'the key stands twice; remove one of them');
        }
      }
      if (!isAlias(node)) {
        if (node.anchor !== undefined) anchors.add(node.anchor);
        return;
      }
      if (anchors.has(node.source)) return;
      const message = secret
        ? 'unknown anchor; quote the value if its * is none'
        : `unknown anchor ${node.source}; define it with &${node.source} further up`;
      found.add(node.range?.[0] ?? 0, message, 'syntax');
    },
  });
  const problems = found.inOrder();
  if (!found.usable) return broken(problems);
  const data = dataOf(first);
  return 'why' in data
    ? broken([...problems, data.why])
    : { settings: data.settings, problems, usable: true };
}

/** Where keys stand that stood before: of the two, the later would silently win. */
function duplicates(items: readonly Pair[]): number[] {
  const seen = new Set<string>();
  return items.flatMap(({ key }) => {
    if (!isScalar(key)) return [];
    const name = String(key.value ?? '');
    if (seen.has(name)) return [key.range?.[0] ?? 0];
    seen.add(name);
    return [];
  });
}

function dataOf(document: Document.Parsed): { settings: unknown } | { why: string } {
  try {
    return { settings: document.toJS() };
  } catch {
    // Aliases of aliases: a few lines that unfold into gigabytes.
    return { why: TOO_MANY_ALIASES };
  }
}

/** Collects problems with their places; of several in one line the first, from which the rest follow. */
class Problems {
  usable = true;
  readonly #lines: readonly string[];
  /** Where each line begins. */
  readonly #begins: readonly number[];
  readonly #secret: boolean;
  readonly #byLine = new Map<number, string>();

  constructor(text: string, secret: boolean) {
    this.#lines = text.split('\n');
    this.#secret = secret;
    let begin = 0;
    this.#begins = this.#lines.map((line) => {
      const own = begin;
      begin += line.length + 1;
      return own;
    });
  }

  add(offset: number, message: string, kind: 'syntax' | 'content' = 'content'): void {
    if (kind === 'syntax') this.usable = false;
    const index = this.#indexOf(offset);
    if (this.#byLine.has(index)) return;
    const column = offset - (this.#begins[index] ?? 0) + 1;
    const place = `line ${index + 1}, column ${column}: ${message}`;
    this.#byLine.set(index, this.#secret ? place : `${place}, ${this.#shown(index)}`);
  }

  inOrder(): string[] {
    const inOrder = [...this.#byLine].sort(([a], [b]) => a - b).map(([, problem]) => problem);
    return firstOf(inOrder, (more) => `and ${more} more lines that are wrong`);
  }

  /** The last line that begins at or before it. */
  #indexOf(offset: number): number {
    let from = 0;
    let to = this.#begins.length;
    while (to - from > 1) {
      const middle = (from + to) >> 1;
      if ((this.#begins[middle] ?? 0) <= offset) from = middle;
      else to = middle;
    }
    return from;
  }

  /** At the end of the file there is nothing to show: then the last line that says something. */
  #shown(index: number): string {
    let last = index;
    while (last > 0 && this.#lines[last]?.trim() === '') last -= 1;
    const text = this.#lines[last]?.trim().slice(0, 60) ?? '';
    return `${last === index ? 'in' : 'after'} ${JSON.stringify(text)}`;
  }
}
