// A fault on demand: while a process sends, its CPU runs no softirqs, as with a driver or a queue that takes
// too long with softirqs off. Built on the programs with which the tests in guests hold a CPU.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadAddon } from '../../src/addon/addon.ts';
import { run } from '../kernel/lab.ts';

const PROGRAM = 'hold_transmit';

/** From now on each packet that this process sends takes `ns`; returns what ends it. */
export function holdSoftirqs(pid: number, ns: number): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'rxscope-held-'));
  try {
    const file = join(folder, 'hold.bpf.o');
    const source = fileURLToPath(new URL('../vm/fixtures/hold.bpf.c', import.meta.url));
    const target = ['-target', 'bpf', '-mcpu=v3', '-D__TARGET_ARCH_x86'];
    // clang does not look into the host's folder for <asm/types.h> when it compiles for BPF.
    const flags = [...target, '-I/usr/include/x86_64-linux-gnu', '-O2', '-g', '-Wall', '-Werror'];
    run('clang', ...flags, '-c', source, '-o', file);
    const object = loadAddon().openObject(file);
    try {
      for (const { name } of object.programs()) object.setAutoload(name, name === PROGRAM);
      object.setConst('held_pid', new Uint8Array(Uint32Array.of(pid).buffer));
      object.setConst('hold_ns', new Uint8Array(BigUint64Array.of(BigInt(ns)).buffer));
      object.load();
      object.attach(PROGRAM);
    } catch (error) {
      object.close();
      throw error;
    }
    return () => object.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
