// Builds one of the benchmark's own BPF sources and opens it with the addon.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BpfObject, loadAddon } from '../../src/addon/addon.ts';
import { run } from '../kernel/lab.ts';

/** Compiles `source`, a file of this folder, and opens it; not loaded yet. */
export function openProgram(source: string): BpfObject {
  const folder = mkdtempSync(join(tmpdir(), 'rxscope-bench-'));
  try {
    const object = join(folder, 'program.bpf.o');
    const path = fileURLToPath(new URL(source, import.meta.url));
    const headers = fileURLToPath(new URL('../../bpf', import.meta.url));
    const flags = ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', '-D__TARGET_ARCH_x86', '-Wall'];
    // clang does not look into the host's folder for <asm/types.h> when it compiles for BPF.
    const include = [`-I${headers}`, '-I/usr/include/x86_64-linux-gnu'];
    run('clang', ...flags, ...include, '-c', path, '-o', object);
    return loadAddon().openObject(object);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
