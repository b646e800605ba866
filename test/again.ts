// Runs test files once more, in other surroundings than this run's: under a command that makes them, or
// with an environment. Each file is then one test of the file that asked for it.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { ROOT } from './repo/project_files.ts';

export interface FileReport {
  readonly passed: number;
  /** What failed and why; a skipped test, or a file without any, counts too. */
  readonly failures: readonly string[];
}

interface VitestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/**
 * Resolves to a report for each file, by its path from the checkout. `command` comes before vitest's and
 * must exec it in the end.
 */
export async function runAgain(
  files: readonly string[],
  command: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
): Promise<ReadonlyMap<string, FileReport>> {
  const folder = mkdtempSync(join(tmpdir(), 'rxscope-again-'));
  try {
    const output = join(folder, 'report.json');
    const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--reporter=json'];
    const words = [process.execPath, ...vitest, `--outputFile=${output}`, ...files];
    const said = await run([...command, ...words], { ...process.env, ...env });
    return reportsOf(files, output, said);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function reportsOf(
  files: readonly string[],
  output: string,
  said: string,
): ReadonlyMap<string, FileReport> {
  let report: VitestReport;
  try {
    report = JSON.parse(readFileSync(output, 'utf8')) as VitestReport;
  } catch (cause) {
    throw new Error(`vitest ended without a report; it said:\n${said}`, { cause });
  }
  const reports = files.map((file): [string, FileReport] => {
    const found = report.testResults.find(({ name }) => relative(ROOT, name) === file);
    const tests = found?.assertionResults ?? [];
    const failures = tests
      .filter(({ status }) => status !== 'passed')
      .map((one) => [one.fullName, one.status, ...one.failureMessages].join('\n'));
    if (tests.length === 0) failures.push(found?.message || `no test ran; vitest said:\n${said}`);
    return [file, { passed: tests.length - failures.length, failures }];
  });
  return new Map(reports);
}

/** What the command said on both of its streams. */
function run(words: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  const [program = '', ...args] = words;
  const child = spawn(program, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve(said));
  });
}
