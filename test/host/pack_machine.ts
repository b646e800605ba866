// Writes a tree as text (tree_text.ts): how a machine comes to fixtures/machines, or is renewed there.
//
//   npx tsx test/host/pack_machine.ts FILE [FOLDER]
//
// Without FOLDER it is this machine's, as capture_machine.mjs copies it, which runs on machines that have
// nothing but Node. The top of a FILE that exists is kept; that of a new one is left to be written.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openingOf, pack } from './tree_text.ts';

const [file, folder] = process.argv.slice(2);
if (file === undefined) throw new Error('usage: pack_machine.ts FILE [FOLDER]');

const about = existsSync(file)
  ? openingOf(readFileSync(file, 'utf8'))
  : 'To be written: captured from which machine, or modelled after what?';
writeFileSync(file, folder === undefined ? captured() : pack(folder, about));

function captured(): string {
  const scratch = mkdtempSync(join(tmpdir(), 'rxscope-capture-'));
  try {
    const script = fileURLToPath(new URL('capture_machine.mjs', import.meta.url));
    execFileSync(process.execPath, [script, scratch], { stdio: 'inherit' });
    return pack(scratch, about);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}
