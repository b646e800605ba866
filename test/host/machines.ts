// The roots of the machines in fixtures/machines, and of trees that a test writes for itself.
// Each tree is unpacked at most once a test file, into a temporary folder that goes with it.

import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import type { Roots } from '../../src/host/roots.ts';
import { unpack } from './tree_text.ts';

const FIXTURES = fileURLToPath(new URL('fixtures', import.meta.url));

const unpacked = new Map<string, Roots>();
let scratch: string | undefined;

afterAll(() => {
  if (scratch !== undefined) rmSync(scratch, { recursive: true });
  scratch = undefined;
  unpacked.clear();
});

export function machineNames(): string[] {
  return readdirSync(join(FIXTURES, 'machines')).flatMap((file) =>
    file.endsWith('.txt') ? [file.slice(0, -'.txt'.length)] : [],
  );
}

/** Throws for a machine that is not there. */
export function machine(name: string): Roots {
  return unpackedRoots(`machines/${name}.txt`);
}

/** Of the tree whose text this file of the fixtures is. For reading: other tests have the same one. */
export function unpackedRoots(file: string): Roots {
  const known = unpacked.get(file);
  if (known !== undefined) return known;
  const text = readFileSync(join(FIXTURES, file), 'utf8');
  scratch ??= mkdtempSync(join(tmpdir(), 'rxscope-machines-'));
  const folder = join(scratch, file);
  unpack(text, folder, file);
  const roots = { proc: join(folder, 'proc'), sys: join(folder, 'sys') };
  unpacked.set(file, roots);
  return roots;
}

export interface Tree {
  readonly roots: Roots;
  /** Path from the folder that holds proc and sys → its text. */
  write(files: Readonly<Record<string, string>>): void;
  /** Path → where it points, as given. */
  link(links: Readonly<Record<string, string>>): void;
  remove(path: string): void;
  rename(from: string, to: string): void;
}

/** Runs `use` with an empty tree, and removes the tree whatever happens. */
export function withTree<T>(use: (tree: Tree, folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'rxscope-host-'));
  const made = (path: string): string => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    return join(folder, path);
  };
  try {
    mkdirSync(join(folder, 'sys/class/net'), { recursive: true });
    mkdirSync(join(folder, 'proc'), { recursive: true });
    const tree: Tree = {
      roots: { proc: join(folder, 'proc'), sys: join(folder, 'sys') },
      write: (files) => {
        for (const [path, text] of Object.entries(files)) writeFileSync(made(path), text);
      },
      link: (links) => {
        for (const [path, to] of Object.entries(links)) symlinkSync(to, made(path));
      },
      rename: (from, to) => renameSync(join(folder, from), made(to)),
      remove: (path) => rmSync(join(folder, path), { recursive: true }),
    };
    return use(tree, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
