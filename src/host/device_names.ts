// How bytes that somebody else chose become text: names of network devices, of programs, of keys in
// bpftrace's maps. The kernel takes nearly any bytes for a device's name, UTF-8 or not. Different bytes stay
// different, nothing shown can drive a terminal, and from a device's shown name its bytes can be had again.

import { join } from 'node:path';

/**
 * UTF-8 as it is; whatever is none, or controls (ESC, line ends, marks that turn the direction of writing),
 * as `\xe9`, byte by byte. A backslash that would look like such an escape is escaped itself.
 */
export function shownBytes(bytes: Uint8Array): string {
  const latin1 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  // Nearly all there are.
  if (/^[ -[\]-~]*$/.test(latin1)) return latin1;
  let shown = '';
  for (let at = 0; at < bytes.length; ) {
    const length = characterLength(bytes, at);
    const character = bytes.subarray(at, at + Math.max(1, length));
    const text = Buffer.from(character).toString('utf8');
    const isEscape = text === '\\' && /^\\x[0-9a-f]{2}/.test(latin1.slice(at, at + 4));
    shown += length === 0 || CONTROL.test(text) || isEscape ? escaped(character) : text;
    at += character.length;
  }
  return shown;
}

/**
 * The name of a network device, as everything calls it. One that begins with `(` has that escaped: `(other)`
 * and its like are rxscope's own sums.
 */
export function deviceName(bytes: Uint8Array): string {
  const shown = shownBytes(bytes);
  return shown.startsWith('(') ? `\\x28${shown.slice(1)}` : shown;
}

/** The bytes of a device's name. */
export function nameBytes(name: string): Buffer {
  if (!name.includes('\\')) return Buffer.from(name);
  const parts = name.split(/\\x([0-9a-f]{2})/);
  // Every second one is an escape.
  return Buffer.concat(
    parts.map((part, at) => (at % 2 === 0 ? Buffer.from(part) : Buffer.from(part, 'hex'))),
  );
}

/** The name as `shownBytes` has it in the middle of other text. */
export function nameWithin(name: string): string {
  return name.startsWith('\\x28') ? `(${name.slice(4)}` : name;
}

/** A device's folder in sysfs, or a file of it. */
export function devicePath(sys: string, name: string, file = ''): string | Buffer {
  const folder = join(sys, 'class/net');
  if (!name.includes('\\')) return join(folder, name, file);
  return Buffer.concat([Buffer.from(`${folder}/`), nameBytes(name), Buffer.from(`/${file}`)]);
}

/** Text for a terminal: what would control it is escaped, whoever it comes from. */
export function withoutControls(text: string): string {
  return text.replace(CONTROLS, (character) => escaped(Buffer.from(character)));
}

/** C0, C1, DEL; marks of direction and width zero, also the byte order mark; separators of lines. */
const CONTROL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;
const CONTROLS = new RegExp(CONTROL, 'gu');

/** Bytes of the character that begins there; 0 where none does. */
function characterLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  const character = Buffer.from(bytes.subarray(at, at + length));
  return Buffer.from(character.toString('utf8')).equals(character) ? character.length : 0;
}

function escaped(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
}
