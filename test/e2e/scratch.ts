// A temporary folder for a test file's configurations and the like; it goes when the file ends.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

export interface Scratch {
  readonly folder: string;
  /** Writes a file anew and returns its path. */
  write(name: string, contents: string | Uint8Array): string;
}

/** Call it at the top of a test file, where hooks are registered. */
export function scratch(): Scratch {
  const folder = mkdtempSync(join(tmpdir(), 'rxscope-e2e-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return {
    folder,
    write: (name, contents) => {
      const file = join(folder, name);
      writeFileSync(file, contents);
      return file;
    },
  };
}
