// The tests of the addon once more, with an addon that ends the process at the first access or value that
// C++ forbids (AddressSanitizer, UBSan). What another process of such a test says is found in its report.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
// @ts-expect-error: set-up is JavaScript, for it runs before TypeScript is there
import { SANITIZER_LINK } from '../../tools/setup/compile.mjs';
import { type FileReport, runAgain } from '../again.ts';
import { projectFiles, ROOT } from '../repo/project_files.ts';

/** Where tools/setup/compile.mjs builds it, below build/, as node-gyp-build looks for it. */
const SANITIZED = join(ROOT, 'build/sanitized');
const FILES = projectFiles().filter((file) =>
  /^test\/native\/(?!sanitized)[^/]+\.test\.ts$/.test(file),
);
/** Everything is three times as slow, and there are processes that start by the hundred. */
const RUN_MS_MAX = 600_000;

const folder = mkdtempSync(join(tmpdir(), 'rxscope-sanitized-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The library that has to be there before the addon is, for Node itself is not built with it. */
function runtime(): string {
  return execFileSync('g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim();
}

/** V8's heap at the end of a process is not a leak, and its reports go to `reports`. */
function environment(reports: string): NodeJS.ProcessEnv {
  const common = `log_path=${join(folder, reports)}:print_stacktrace=1`;
  return {
    LD_PRELOAD: runtime(),
    ASAN_OPTIONS: `detect_leaks=0:detect_stack_use_after_return=1:${common}`,
    UBSAN_OPTIONS: common,
    RXSCOPE_PREBUILD: SANITIZED,
  };
}

function reportsOf(name: string): string {
  return readdirSync(folder)
    .filter((file) => file.startsWith(`${name}.`))
    .map((file) => readFileSync(join(folder, file), 'utf8'))
    .join('\n');
}

describe('every test of the addon passes with the addon that watches itself', () => {
  let reports: ReadonlyMap<string, FileReport>;
  beforeAll(async () => {
    // `npm test` has built it; this is for whoever runs this file alone.
    execFileSync(process.execPath, ['tools/setup/build.mjs', '--tests'], { cwd: ROOT });
    reports = await runAgain(FILES, [], environment('addon'));
  }, 2 * RUN_MS_MAX);

  test.each(FILES)('%s', (file) => {
    const report = reports.get(file);
    expect(report?.failures.join('\n')).toBe('');
    expect(report?.passed).toBeGreaterThan(0);
  });

  test('and nothing was reported, by whichever process', () => {
    expect(reportsOf('addon')).toBe('');
  });

  test('which was really the addon that they used', () => {
    const path = join(SANITIZED, 'build/Release/rxscope.node');
    const text = readFileSync(path, 'latin1');
    expect(text).toContain('__asan_report_load');
    expect(text).toContain('__ubsan_handle');
    const used = spawnSync(
      process.execPath,
      ['-p', `require('node-gyp-build').resolve(${JSON.stringify(ROOT)})`],
      { cwd: ROOT, env: { ...process.env, RXSCOPE_PREBUILD: SANITIZED }, encoding: 'utf8' },
    );
    expect(used.stdout.trim()).toBe(path);
  });
});

describe('a fault is found, in an addon that has nothing else', () => {
  const library = join(folder, 'faulty.node');
  beforeAll(() => {
    const source = fileURLToPath(new URL('fixtures/faulty.cc', import.meta.url));
    const flags = ['-shared', '-fPIC', '-O1', '-g1', ...SANITIZER_LINK.split(' ')];
    execFileSync('g++', [...flags, '-o', library, source], { stdio: 'inherit' });
    expect(existsSync(library)).toBe(true);
  });

  test.each([
    ['overflow', /AddressSanitizer: heap-buffer-overflow/],
    ['use-after-free', /AddressSanitizer: heap-use-after-free/],
    ['null-copy', /null pointer passed as argument/],
    ['signed-overflow', /signed integer overflow/],
  ])('%s', (fault, report) => {
    const args = ['-e', `require(${JSON.stringify(library)})`];
    const env = { ...process.env, ...environment(fault), RXSCOPE_FAULT: fault };
    const { status } = spawnSync(process.execPath, args, { env });
    expect(status).not.toBe(0);
    expect(reportsOf(fault)).toMatch(report);
  });

  test('and none where there is none', () => {
    const args = ['-e', `require(${JSON.stringify(library)})`];
    const env = { ...process.env, ...environment('none'), RXSCOPE_FAULT: 'none' };
    const { status, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
    expect({ status, stderr, reports: reportsOf('none') }).toEqual({
      status: 0,
      stderr: '',
      reports: '',
    });
  });
});
