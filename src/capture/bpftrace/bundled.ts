// The bpftrace scripts that rxscope brings along: what there is in bpf/, described by the comment
// that each opens with. Nothing is listed here a second time.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { scriptFile } from './names.ts';

export interface BundledScript {
  readonly name: string;
  /** What it measures, in a few words. */
  readonly summary: string;
}

const SUFFIX = '.bt';

/** In alphabetical order. */
export function bundledScripts(): BundledScript[] {
  return readdirSync(dirname(scriptFile('any')))
    .filter((file) => file.endsWith(SUFFIX))
    .map((file) => file.slice(0, -SUFFIX.length))
    .sort()
    .map((name) => ({ name, summary: summaryOf(readFileSync(scriptFile(name), 'utf8')) }));
}

/** The first words of a script's header, less its name: up to the first colon or full stop. */
export function summaryOf(text: string): string {
  const header = /\/\*([\s\S]*?)\*\//.exec(text)?.[1] ?? '';
  const prose = header.replaceAll(/\s*\n\s*\*\s*/g, ' ').trim();
  return /^(?:\w+\.bt:\s*)?([\s\S]*?)(?:[.:](?=\s)|$)/.exec(prose)?.[1]?.trim() ?? '';
}
