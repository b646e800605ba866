// The project's own files: everything in the checkout that .gitignore does not name.
// Asks the folder and not git, which a machine that only runs the tests need not have.
// What the house rules read; nothing here judges.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Paths from the top folder, sorted. */
export function projectFiles(): string[] {
  return filesBelow('', ignoredNames()).sort();
}

export function textOf(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

/** Files written by hand in a language that has comments: what the rules of style are about. */
export function sourceFiles(): string[] {
  return projectFiles().filter(
    (file) =>
      /^(src|tools|test|bpf|native)\//.test(file) &&
      /\.(ts|mjs|c|h|cc|cpp|hpp|bt)$/.test(file) &&
      !/\.gen\.[a-z]+$/.test(file),
  );
}

function filesBelow(folder: string, ignored: RegExp): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}${entry.name}`;
    // A slash at the end makes a folder match only what .gitignore says of folders.
    const name = entry.isDirectory() ? `${entry.name}/` : entry.name;
    // Links stand for files that are listed themselves, or for what is not the project's.
    if (ignored.test(name) || entry.isSymbolicLink()) return [];
    return entry.isDirectory() ? filesBelow(`${path}/`, ignored) : [path];
  });
}

/** .gitignore has two forms only, `folder/` and `*.suffix`; another one must be added here. */
function ignoredNames(): RegExp {
  const lines = textOf('.gitignore').split('\n');
  const patterns = lines.filter(Boolean).map((line) => {
    if (/^[\w.-]+\/$/.test(line)) return `^${line.replaceAll('.', '\\.')}$`;
    if (/^\*\.\w+$/.test(line)) return `\\${line.slice(1)}$`;
    throw new Error(`.gitignore: ${line}: test/repo/project_files.ts does not know this form`);
  });
  // Git's own: a folder, and in a worktree a file.
  return new RegExp(['^\\.git/?$', ...patterns].join('|'));
}
