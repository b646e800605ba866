// Each way in which the set-up can fail, with the words that tell the reader what to do.
// The system's tools are stand-ins on a PATH of the test's own; nothing is installed.

import { chmodSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CheckoutCopy, type RunOptions } from './checkout_copy.ts';

let copy: CheckoutCopy;

beforeEach(() => {
  copy = new CheckoutCopy(['tools/setup', 'package.json', 'package-lock.json']);
});

afterEach(() => copy.remove());

/** Every command that the packages for running bring. */
const RUN_COMMANDS = ['clang', 'llvm-strip', 'g++', 'make', 'python3'];

test('names the version and the remedy when Node.js is too old', async () => {
  const old = `Object.defineProperty(process.versions, 'node', { value: '18.20.4' })`;
  const { code, stderr } = await build({
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(old)}`,
  });
  expect(code).toBe(1);
  expect(stderr).toContain('Node.js 18.20.4 is too old: rxscope needs >=20.19.');
  expect(stderr).toContain('Install a newer Node.js');
});

test('names the packages and gives up politely where there is no apt-get', async () => {
  const { code, stderr } = await build();
  expect(code).toBe(1);
  expect(stderr).toContain('clang (compiles the BPF programs)');
  expect(stderr).toContain('there is no apt-get here');
  expect(stderr).toMatch(
    /On Debian it would be: apt-get install -y --no-install-recommends clang /,
  );
});

test('tells somebody who is not root which command root should run', async () => {
  command('apt-get', 'exit 0');
  for (const name of RUN_COMMANDS.filter((one) => one !== 'clang')) command(name, 'exit 0');
  const { code, stderr } = await build();
  expect(code).toBe(1);
  expect(stderr).toContain('You are not root, and sudo is absent or wants a password.');
  expect(stderr).toMatch(/Run as root: apt-get install -y --no-install-recommends clang\b/);
});

test('shows what apt-get said, and that the mirror is out of reach', async () => {
  sudo();
  command(
    'apt-get',
    'echo "E: Failed to fetch clang.deb  Temporary failure resolving" >&2\nexit 100',
  );
  const { code, stderr } = await build();
  expect(code).toBe(1);
  expect(stderr).toContain('apt-get could not install the packages (exit code 100).');
  expect(stderr).toContain('The package mirror cannot be reached. It said:');
  expect(stderr).toContain('E: Failed to fetch clang.deb');
});

test('asks apt-get for what is missing and for nothing else', async () => {
  sudo();
  for (const name of RUN_COMMANDS.filter((one) => one !== 'llvm-strip')) command(name, 'exit 0');
  const bin = copy.path('bin');
  chmodSync(bin, 0o777);
  const installing = `*" install "*) echo 'exit 0' > ${bin}/llvm-strip`;
  command('apt-get', `echo "$*" >> ${bin}/log\ncase "$*" in ${installing};; esac`);
  copy.removeModules();
  const { stderr } = await build();
  expect(stderr).toContain('installing with apt-get: llvm …\n');
  const calls = readFileSync(`${bin}/log`, 'utf8').trim().split('\n');
  expect(calls.map((call) => call.replace(/^.*?(?=update|install)/, ''))).toEqual([
    'update',
    'install -y --no-install-recommends llvm',
  ]);
  // It went on to the next step, which fails here: there is no npm on this PATH.
  expect(stderr).toContain('npm ci failed (exit code 127).');
});

test('says that the registry is out of reach when npm cannot reach it', async () => {
  for (const name of RUN_COMMANDS) command(name, 'exit 0');
  command('npm', 'echo "npm error code ENOTFOUND" >&2\nexit 1');
  copy.removeModules();
  const { code, stderr } = await build();
  expect(code).toBe(1);
  expect(stderr).toContain('npm ci failed (exit code 1).');
  expect(stderr).toContain('The package registry cannot be reached. It said:');
});

test('shows what the compiler said when a source does not compile', async () => {
  for (const name of RUN_COMMANDS) command(name, 'exit 0');
  copy.write('src/commands/main.ts', 'const port: number = "10750";\n');
  copy.write('tsconfig.json', '{ "compilerOptions": { "outDir": "dist", "rootDir": "src" } }\n');
  const { code, stderr } = await build();
  expect(code).toBe(1);
  expect(stderr).toContain('The TypeScript compiler failed');
  expect(stderr).toContain("Type 'string' is not assignable to type 'number'");
  expect(stderr).toContain('To see it alone, run in the checkout:');
});

function build(env: RunOptions['env'] = {}) {
  const script = ['tools/setup/build.mjs'];
  return copy.node(script, { asNobody: true, env: { PATH: copy.path('bin'), ...env } });
}

function command(name: string, script: string): void {
  copy.write(`bin/${name}`, `#!/bin/sh\n${script}\n`, 0o755);
}

/** A sudo that needs no password and changes nothing. */
function sudo(): void {
  const path = '/usr/sbin:/usr/bin:/sbin:/bin';
  command('sudo', `[ "$1" = -n ] && shift\nPATH="$PATH:${path}" exec "$@"`);
}
