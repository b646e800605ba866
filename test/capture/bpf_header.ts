// Names and numbers of bpf/*.h, read as text: what TypeScript states again is held against them. Knows
// enums and plain defines, and sums of them; no other C.

import { textOf } from '../repo/project_files.ts';

/** An enum's constants in their order, with their values. */
export function enumOf(file: string, name: string): Map<string, number> {
  const body = new RegExp(`enum ${name} \\{([^}]*)\\}`).exec(code(file))?.[1];
  if (body === undefined) throw new Error(`bpf/${file} has no enum ${name}`);
  const values = new Map<string, number>();
  let next = 0;
  for (const item of body.split(',').map((text) => text.trim())) {
    if (item === '') continue;
    const [constant = '', given] = item.split('=').map((text) => text.trim());
    const value = given === undefined ? next : sumOf(given, values);
    values.set(constant, value);
    next = value + 1;
  }
  return values;
}

/** The number that a define stands for. */
export function defineOf(file: string, name: string): number {
  const text = new RegExp(`^#define ${name}\\s+(.+)$`, 'm').exec(code(file))?.[1];
  if (text === undefined) throw new Error(`bpf/${file} does not define ${name}`);
  return sumOf(text.trim(), new Map());
}

/** The names of all defines of a file whose name begins so, in their order. */
export function definesOf(file: string, prefix: string): string[] {
  const names = code(file).matchAll(new RegExp(`^#define (${prefix}\\w+)\\s+\\S`, 'gm'));
  return [...names].map((match) => match[1] ?? '');
}

/** Without its comments. */
function code(file: string): string {
  return textOf(`bpf/${file}`).replace(/\/\*[\s\S]*?\*\//g, '');
}

function sumOf(text: string, known: ReadonlyMap<string, number>): number {
  const parts = text.split('+').map((part) => known.get(part.trim()) ?? Number(part));
  const sum = parts.reduce((total, part) => total + part, 0);
  if (Number.isNaN(sum)) throw new Error(`cannot tell the value of ${text}`);
  return sum;
}
