// The roots of the machines in fixtures/machines, and of trees that a test writes for itself.

import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Roots } from '../../src/host/roots.ts';

const MACHINES = fileURLToPath(new URL('fixtures/machines', import.meta.url));

export function machineNames(): string[] {
  return readdirSync(MACHINES, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
}

/** Throws for a machine that is not there. */
export function machine(name: string): Roots {
  readdirSync(join(MACHINES, name));
  return { proc: join(MACHINES, name, 'proc'), sys: join(MACHINES, name, 'sys') };
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
