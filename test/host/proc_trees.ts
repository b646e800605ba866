// Trees of /proc and /sys for tests: those captured from guests, and small ones made on the spot.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Roots } from '../../src/host/roots.ts';
import { unpackedRoots } from './machines.ts';

/**
 * Kernels whose trees are under fixtures/proc. capture.sh there says how they came about; all have had
 * the same traffic, and had CPU 1 offline when they were captured.
 */
export const CAPTURED = ['5.10', '6.1', '6.12', '7.2'] as const;

export function capturedTree(kernel: (typeof CAPTURED)[number]): Roots {
  return unpackedRoots(`proc/${kernel}.txt`);
}

/** Runs `use` on a tree of these files (path below `proc` or `sys` → text) and removes it. */
export function withTree<Result>(
  files: Readonly<Record<string, string>>,
  use: (roots: Roots) => Result,
): Result {
  const root = mkdtempSync(join(tmpdir(), 'rxscope-host-'));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    return use({ proc: join(root, 'proc'), sys: join(root, 'sys') });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
