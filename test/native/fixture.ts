// Builds the small BPF objects that these tests load, and opens the usual one ready for use.
// Each object is compiled at most once a test file, into a temporary folder that goes with it.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect } from 'vitest';
import { type BpfError, type BpfObject, loadAddon } from '../../src/addon/addon.ts';

/** getuid on x86-64: Node makes this call when, and only when, `process.getuid()` is called. */
export const GETUID = 102;

const built = new Map<string, string>();
let folder: string | undefined;

afterAll(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true });
  folder = undefined;
  built.clear();
});

export function buildFixture(name: string): string {
  const known = built.get(name);
  if (known !== undefined) return known;
  folder ??= mkdtempSync(join(tmpdir(), 'rxscope-native-'));
  const source = fileURLToPath(new URL(`fixtures/${name}.bpf.c`, import.meta.url));
  const object = join(folder, `${name}.bpf.o`);
  const flags = ['-target', 'bpf', '-mcpu=v3', '-O2', '-g', '-Wall', '-Wno-missing-declarations'];
  execFileSync('clang', [...flags, '-c', source, '-o', object], { stdio: 'inherit' });
  built.set(name, object);
  return object;
}

/** The object of `calls.bpf.c`, loaded, watching this process' getuid; not attached. */
export function loadCalls(): BpfObject {
  const object = loadAddon().openObject(buildFixture('calls'));
  object.setConst('watched_pid', u32(process.pid));
  object.setConst('watched_call', u64(GETUID));
  object.load();
  return object;
}

export function makeCalls(count: number): void {
  for (let made = 0; made < count; made++) process.getuid?.();
}

export function countedCalls(object: BpfObject): number {
  const word = new BigUint64Array(1);
  object.read('slots', 0, new Uint8Array(word.buffer));
  return Number(word[0]);
}

/** Sets `.data.config`: whether to send records, and how much each call counts. */
export function configure(object: BpfObject, send: boolean, step = 1): void {
  object.write('.data.config', 0, new Uint8Array(Uint32Array.of(send ? 1 : 0, step).buffer));
}

export function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

export function u64(value: number): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
}

/** What `call` throws, checked to be a complete BpfError: its errno and its code tell the same. */
export function failureOf(call: () => unknown): BpfError {
  let thrown: unknown;
  try {
    call();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(Error);
  const failure = thrown as BpfError;
  expect(failure.message).toContain(failure.code);
  if (failure.errno < 500) {
    const errnos: Readonly<Record<string, number>> = constants.errno;
    expect(errnos[failure.code]).toBe(failure.errno);
  }
  return failure;
}
