// Writes what a command makes into the folder of its --out, and says which files. Overwrites what is
// there by the same names, and deletes nothing.

import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** `files`: text by name. Throws an Error with a `code` that names the path which was refused. */
export function writeFiles(
  folder: string,
  files: Iterable<readonly [name: string, text: string]>,
  out: (text: string) => void,
): void {
  if (folder === '') throw refused('EINVAL', '--out: expected a folder, got an empty one');
  try {
    makeFolder(resolve(folder));
    for (const [name, text] of files) {
      const path = join(folder, name);
      writeFileSync(path, text);
      out(`${path}\n`);
    }
  } catch (error) {
    const { code, path = folder } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw refused(
      code,
      `--out ${folder}: ${path} cannot be written (${code}); choose another folder`,
    );
  }
}

/**
 * With the folders above it. Not mkdir's own `recursive`: that of Node 20 never returns below /proc, where
 * a folder is there and yet ENOENT is the answer to making one in it.
 */
function makeFolder(folder: string): void {
  const above = dirname(folder);
  if (above !== folder && statSync(above, { throwIfNoEntry: false }) === undefined)
    makeFolder(above);
  try {
    mkdirSync(folder);
  } catch (error) {
    // As a link to a folder, too; what else is there is refused by the first file.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

function refused(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
