// What the set-up's commands do when all goes well: nothing needless, and nothing hidden.
// Works on copies of this checkout, as it is built.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ROOT } from '../../repo/project_files.ts';
import { CheckoutCopy } from './checkout_copy.ts';

let copy: CheckoutCopy;

// `npm test` has done it; this is for whoever runs this file alone after a change.
beforeAll(() => {
  execFileSync(process.execPath, ['tools/setup/build.mjs', '--tests'], { cwd: ROOT });
}, 300_000);

beforeEach(() => {
  copy = new CheckoutCopy();
});

afterEach(() => copy.remove());

describe('building', () => {
  test('is quiet and done within 5 s when there is nothing to do', async () => {
    const startedMs = performance.now();
    const { code, stdout, stderr } = await build();
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(performance.now() - startedMs).toBeLessThan(5000);
  });

  test('does one step again when one of its sources changed', async () => {
    copy.write('bpf/bucket.h', `${readFileSync(copy.path('bpf/bucket.h'), 'utf8')}\n`);
    expect(steps((await build()).stderr)).toEqual(['compiling the BPF programs']);
    expect(steps((await build()).stderr)).toEqual([]);
  });

  test('does one step again when its output has gone', async () => {
    rmSync(copy.path('dist/commands/main.js'));
    expect(steps((await build()).stderr)).toEqual(['compiling the TypeScript']);
    expect(statSync(copy.path('dist/commands/main.js')).mode & 0o111).toBe(0o111);
  });

  test('removes what a deleted source left behind', async () => {
    copy.write('src/commands/passing_thought.ts', '// A file that goes again.\nexport {};\n');
    await build();
    expect(existsSync(copy.path('dist/commands/passing_thought.js'))).toBe(true);
    rmSync(copy.path('src/commands/passing_thought.ts'));
    await build();
    expect(existsSync(copy.path('dist/commands/passing_thought.js'))).toBe(false);
    expect(existsSync(copy.path('dist/commands/main.js'))).toBe(true);
  });

  test('claims no revision where there is no git checkout', async () => {
    copy.write('dist/revision', '0123456789ab');
    await build();
    expect(existsSync(copy.path('dist/revision'))).toBe(false);
  });

  test('leaves no debug information but BTF in the BPF objects', async () => {
    const object = readFileSync(copy.path('dist/bpf/rxscope.bpf.o'), 'latin1');
    expect(object).toContain('.BTF.ext');
    expect(object).not.toContain('.debug_info');
  });
});

describe('npm start', () => {
  // Stands for the agent: the build is up to date, so it is run as it lies there.
  function agent(script: string): void {
    copy.write('dist/commands/main.js', `#!/usr/bin/env node\n${script}\n`, 0o755);
  }

  test('hands its options to `rxscope run` and keeps its exit code', async () => {
    agent('console.log(JSON.stringify(process.argv.slice(2))); process.exitCode = 7;');
    const options = ['--config.file', 'a file.yaml', '--strict'];
    const { code, stdout } = await copy.npm(['start', '--silent', '--', ...options]);
    expect(JSON.parse(stdout)).toEqual(['run', ...options]);
    expect(code).toBe(7);
  });

  test('lets the agent end by itself on SIGTERM', async () => {
    agent(`
      const idle = setInterval(() => {}, 1000);
      process.once('SIGTERM', () => { console.log('bye'); clearInterval(idle); });
      console.log('up');
    `);
    const { code, stdout } = await copy.npm(['start', '--silent'], {
      onStart: (child) => child.stdout?.once('data', () => child.kill('SIGTERM')),
    });
    expect(stdout).toBe('up\nbye\n');
    expect(code).toBe(0);
  });

  test('runs the agent in its own process, so that a SIGKILL hits the agent', async () => {
    agent('console.log(process.pid); setInterval(() => {}, 1000);');
    let pid = 0;
    const { stdout, signal } = await copy.node(['tools/setup/start.mjs'], {
      onStart: (child) => {
        pid = child.pid ?? 0;
        child.stdout?.once('data', () => child.kill('SIGKILL'));
      },
    });
    expect(Number(stdout)).toBe(pid);
    expect(signal).toBe('SIGKILL');
  });
});

describe('npm test', () => {
  const passing = `import { test } from 'vitest'; test('one', () => {}); test('two', () => {});`;
  const failing = `import { test } from 'vitest'; test('bad', () => { throw new Error('no'); });`;
  const skipping = `import { test } from 'vitest'; test('lone', (t) => t.skip('no such device'));`;

  beforeEach(() => rmSync(copy.path('test'), { recursive: true }));

  test('ends with the line that counts passed, failed and skipped tests', async () => {
    copy.write('test/good.test.ts', passing);
    copy.write('test/bad.test.ts', failing);
    copy.write('test/lone.test.ts', skipping);
    const { code, stdout } = await runTests();
    expect(code).toBe(1);
    expect(stdout).toContain('skipped: test/lone.test.ts > lone: no such device\n');
    expect(lastLine(stdout)).toBe('2 passed, 1 failed, 1 skipped');
  });

  test('counts a file that cannot be loaded as a failure', async () => {
    copy.write('test/good.test.ts', passing);
    copy.write('test/broken.test.ts', `import './nowhere.ts';`);
    const { code, stdout } = await runTests();
    expect(code).toBe(1);
    expect(lastLine(stdout)).toBe('2 passed, 1 failed, 0 skipped');
  });

  test('lets a skipped test pass, but not in CI', async () => {
    copy.write('test/good.test.ts', passing);
    copy.write('test/lone.test.ts', skipping);
    expect((await runTests()).code).toBe(0);
    const { code, stdout } = await runTests([], { CI: 'true' });
    expect(code).toBe(1);
    expect(lastLine(stdout)).toBe('2 passed, 0 failed, 1 skipped');
  });

  /** Fails the first time and never again. */
  const noisy = (options: string): string =>
    `import { test } from 'vitest'; let runs = 0;
     test('busy', ${options}, () => { if (++runs === 1) throw new Error('3 of 5 packets'); });`;
  const passedThen =
    'passed at the second run: test/noisy.test.ts > busy: at the first, 3 of 5 packets\n';

  test('runs nothing a second time that does not ask for it', async () => {
    copy.write('test/noisy.test.ts', noisy('{}'));
    const { code, stdout } = await runTests();
    expect(code).toBe(1);
    expect(stdout).not.toContain('second run');
    expect(lastLine(stdout)).toBe('0 passed, 1 failed, 0 skipped');
  });

  test('fails when a test passes only at the second run without a reason', async () => {
    copy.write('test/noisy.test.ts', noisy('{ retry: 1 }'));
    const { code, stdout } = await runTests();
    expect(code).toBe(1);
    expect(stdout).toContain(`${passedThen}  It does not say why it may.\n`);
    expect(lastLine(stdout)).toBe('1 passed, 0 failed, 0 skipped');
  });

  test('lets a test pass at the second run that says why it may, and tells so', async () => {
    copy.write('test/second_run.ts', readFileSync(join(ROOT, 'test/second_run.ts'), 'utf8'));
    const loaded = `import { mayRunTwice } from './second_run.ts';\n`;
    copy.write('test/noisy.test.ts', loaded + noisy(`mayRunTwice('no real machine does that')`));
    const { code, stdout } = await runTests();
    expect(code).toBe(0);
    expect(stdout).toContain(`${passedThen}  It may: no real machine does that\n`);
    expect(lastLine(stdout)).toBe('1 passed, 0 failed, 0 skipped');
  });

  test('hands its arguments to vitest', async () => {
    copy.write('test/good.test.ts', passing);
    copy.write('test/bad.test.ts', failing);
    const { code, stdout } = await runTests(['test/good']);
    expect(code).toBe(0);
    expect(lastLine(stdout)).toBe('2 passed, 0 failed, 0 skipped');
  });

  test('fails when no test was found', async () => {
    const { code } = await runTests(['test/nothing-of-that-name']);
    expect(code).toBe(1);
  });

  function runTests(args: readonly string[] = [], env: Readonly<Record<string, string>> = {}) {
    return copy.node(['tools/setup/test.mjs', ...args], { env: { NO_COLOR: '1', ...env } });
  }
});

describe('npx rxscope', () => {
  test('runs the checkout that it is called in', async () => {
    copy.write(
      'dist/commands/main.js',
      '#!/usr/bin/env node\nconsole.log(JSON.stringify([import.meta.filename, ...process.argv.slice(2)]));\n',
      0o755,
    );
    const { stdout } = await copy.npm(['exec', '--silent', '--', 'rxscope', 'probes', '--json'], {
      // npm remembers each such folder in its cache: not in the user's, for a folder that goes.
      env: { npm_config_cache: copy.path('npm-cache') },
    });
    expect(JSON.parse(stdout)).toEqual([copy.path('dist/commands/main.js'), 'probes', '--json']);
  });
});

function build() {
  return copy.node(['tools/setup/build.mjs']);
}

function steps(stderr: string): string[] {
  return [...stderr.matchAll(/^rxscope setup: (\S.*) …$/gm)].map((match) => match[1] ?? '');
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? '';
}
