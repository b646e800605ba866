// Reads one YAML file into plain data, with every syntax problem and its line.
// What the settings mean is none of its business: see schema.ts.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { type Document, LineCounter, parseAllDocuments, visit } from 'yaml';

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
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    // The parser's own warnings go to the console otherwise; ours are in `document.warnings`.
    logLevel: 'error',
  });
  const found = new Problems(text, lines, secret);
  const [first, second] = documents;
  for (const { errors, warnings } of 'empty' in documents ? [documents] : documents) {
    for (const { code, message, pos } of [...errors, ...warnings]) {
      if (code === 'DUPLICATE_KEY') found.add(pos[0], 'the key stands twice; remove one of them');
      else if (secret) found.add(pos[0], `not valid YAML (${code})`, 'syntax');
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
  visit(first, {
    Alias: (_key, alias) => {
      if (alias.resolve(first) !== undefined) return;
      const message = secret
        ? 'unknown anchor; quote the value if its * is none'
        : `unknown anchor ${alias.source}; define it with &${alias.source} further up`;
      found.add(alias.range?.[0] ?? 0, message, 'syntax');
    },
  });
  const problems = found.inOrder();
  if (!found.usable) return broken(problems);
  const data = dataOf(first);
  return 'why' in data
    ? broken([...problems, data.why])
    : { settings: data.settings, problems, usable: true };
}

function dataOf(document: Document.Parsed): { settings: unknown } | { why: string } {
  try {
    return { settings: document.toJS() };
  } catch {
    // Aliases of aliases: a few lines that unfold into gigabytes.
    return { why: 'too many aliases; write the values out' };
  }
}

/** Collects problems with their places; of several in one line the first, from which the rest follow. */
class Problems {
  usable = true;
  readonly #text: string;
  readonly #lines: LineCounter;
  readonly #secret: boolean;
  readonly #byLine = new Map<number, string>();

  constructor(text: string, lines: LineCounter, secret: boolean) {
    this.#text = text;
    this.#lines = lines;
    this.#secret = secret;
  }

  add(offset: number, message: string, kind: 'syntax' | 'content' = 'content'): void {
    if (kind === 'syntax') this.usable = false;
    const { line, col } = this.#lines.linePos(offset);
    if (this.#byLine.has(line)) return;
    if (this.#secret) {
      this.#byLine.set(line, `line ${line}, column ${col}: ${message}`);
      return;
    }
    // At the end of the file there is nothing to show: then the last line that says something.
    const source = this.#text
      .split('\n')
      .slice(0, line)
      .map((text) => text.trim());
    const where = source.at(-1) === '' ? 'after' : 'in';
    const shown = JSON.stringify((source.findLast((text) => text !== '') ?? '').slice(0, 60));
    this.#byLine.set(line, `line ${line}, column ${col}: ${message}, ${where} ${shown}`);
  }

  inOrder(): string[] {
    return [...this.#byLine].sort(([a], [b]) => a - b).map(([, problem]) => problem);
  }
}
