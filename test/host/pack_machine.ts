// Writes a tree as text (tree_text.ts): how a machine comes to fixtures/machines, or is renewed there.
//
//   npx tsx test/host/pack_machine.ts FILE [SOURCE]
//
// SOURCE is a folder, or a text to put in order, as FILE itself after it was edited. Without SOURCE it is
// this machine, as capture_machine.mjs copies it, which on other machines needs nothing but Node. The
// top of a FILE that exists is kept; that of a new one is left to be written.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openingOf, pack, unpack } from './tree_text.ts';

const [file, source] = process.argv.slice(2);
if (file === undefined) throw new Error('usage: pack_machine.ts FILE [SOURCE]');

const about = existsSync(file)
  ? openingOf(readFileSync(file, 'utf8'))
  : 'To be written: captured from which machine, or modelled after what?';
const scratch = mkdtempSync(join(tmpdir(), 'rxscope-pack-'));
try {
  writeFileSync(file, pack(treeOf(source), about));
} finally {
  rmSync(scratch, { recursive: true });
}

function treeOf(given: string | undefined): string {
  if (given === undefined) {
    const script = fileURLToPath(new URL('capture_machine.mjs', import.meta.url));
    execFileSync(process.execPath, [script, scratch], { stdio: 'inherit' });
    return scratch;
  }
  if (statSync(given).isDirectory()) return given;
  unpack(readFileSync(given, 'utf8'), scratch, given);
  return scratch;
}
