// Small files of sysfs and procfs: read, or not there. For files whose absence is an answer; a reader
// that cannot do without its file uses readFileSync and lets it throw.

import { readdirSync, readFileSync } from 'node:fs';

/** Without the line's end. Undefined when the file cannot be opened or read, for whatever reason. */
export function readText(path: string | Buffer): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** Decimal, or hexadecimal with 0x. Undefined also when the file says something else. */
export function readNumber(path: string | Buffer): number | undefined {
  const text = readText(path);
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

/** Empty when there is no such folder. */
export function listFolder(path: string | Buffer): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
