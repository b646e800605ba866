// lock_sock.bt on a kernel with kprobes, under this machine's bpftrace and the newest at once: threads
// that wait for a socket's lock for a known time, and one that holds it.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Bucket, ScriptOutput } from '../../src/capture/bpftrace/output.ts';
import { DOWNLOAD_MS_MAX, installedBpftrace, newestBpftrace } from '../kernel/bpftraces.ts';
import { GUEST_TIMEOUT_MS, runInGuest } from './guest.ts';

const COUNT = 7;
/** In the middle of a bucket of bpftrace, 268 to 537 ms. */
const HOLD_MS = 350;

interface Line {
  readonly path: string;
  readonly outputs: readonly ScriptOutput[];
  readonly problems: readonly string[];
  readonly reason?: string;
}

let folder = '';
let lines: readonly Line[] = [];
beforeAll(async () => {
  // On the root file system, the only one that a guest sees.
  folder = mkdtempSync('/var/tmp/rxscope-lock-');
  const holder = join(folder, 'lock_holder');
  const source = fileURLToPath(new URL('./fixtures/lock_holder.cc', import.meta.url));
  const flags = ['-O2', '-std=c++20', '-Wall', '-Werror', '-pthread'];
  execFileSync('g++', [...flags, '-o', holder, source]);
  const bpftraces = [await installedBpftrace(), newestBpftrace()];
  const reported = await runInGuest({
    series: '6.12-cloud',
    script: 'lock_sock_guest.mjs',
    args: [holder, `${COUNT}`, `${HOLD_MS}`, ...bpftraces],
  });
  lines = reported as unknown as Line[];
}, GUEST_TIMEOUT_MS + DOWNLOAD_MS_MAX);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function bucketsOf({ outputs }: Line, map: string, key: string): readonly Bucket[] {
  const hist = outputs.find((one) => one.type === 'hist' && one.name === map);
  const rows = hist?.type === 'hist' ? hist.rows : [];
  return rows.find((row) => row.key === key)?.buckets ?? [];
}

function valuesOf({ outputs }: Line, map: string): ReadonlyMap<string, number> {
  const found = outputs.find((one) => one.type === 'map' && one.name === map);
  const rows = found?.type === 'map' ? found.rows : [];
  return new Map(rows.map(({ key, value }) => [key, Number(value)]));
}

/** Of those that lasted as long as the lock was held, give or take a slow guest. */
function longOnes(buckets: readonly Bucket[]): number {
  return buckets
    .filter(({ min = 0, max = 0 }) => max >= HOLD_MS * 1e6 && min < 4 * HOLD_MS * 1e6)
    .reduce((sum, { count }) => sum + count, 0);
}

test('both bpftraces ran it', () => {
  expect(lines).toHaveLength(2);
  for (const { reason, problems } of lines) expect({ reason, problems }).toEqual({ problems: [] });
});

test('each wait for the lock is counted, with its time and whom it was for', () => {
  for (const line of lines) {
    const waits = bucketsOf(line, '@lock_wait_ns', 'waiter');
    expect(waits.reduce((sum, { count }) => sum + count, 0)).toBe(COUNT);
    // The first words of a waiter may come late: its wait is shorter than the holder's time.
    expect(longOnes(waits)).toBeGreaterThanOrEqual(COUNT - 2);
    expect(valuesOf(line, '@waited_for').get('holder')).toBe(COUNT);
    const longest = [...valuesOf(line, '@longest_wait_ns')].filter(([key]) =>
      key.startsWith('waiter,'),
    );
    expect(longest).toHaveLength(COUNT);
    for (const [, ns] of longest) expect(ns).toBeLessThan(4 * HOLD_MS * 1e6);
  }
});

test('each hold is counted with its time, the waiters’ short ones too', () => {
  for (const line of lines) {
    expect(longOnes(bucketsOf(line, '@lock_hold_ns', 'holder'))).toBe(COUNT);
    const short = bucketsOf(line, '@lock_hold_ns', 'waiter');
    expect(short.reduce((sum, { count }) => sum + count, 0)).toBe(COUNT);
    expect(longOnes(short)).toBe(0);
  }
});

test('a segment that arrives meanwhile is counted for who holds the lock', () => {
  for (const line of lines) {
    const segments = valuesOf(line, '@backlogged_segments').get('holder') ?? 0;
    expect(segments).toBeGreaterThanOrEqual(COUNT);
  }
});
