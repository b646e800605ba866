// Builds dist/ and build/ from the sources: TypeScript, BPF objects, native addon.
// A step runs only when the contents of its inputs changed or an output is gone.

import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { BUNDLE, bundle } from './bundle.mjs';
import { run, SetupError, step } from './report.mjs';

/**
 * Builds what is out of date below `root`, for tests also what only they need. Each step's failure names
 * its command and output.
 */
export async function compile(root, { tests }) {
  const stampFile = join(root, 'dist/.build.json');
  const stamps = readStamps(stampFile);
  for (const { name, label, inputs, outputs, build } of tests ? [...STEPS, SANITIZED] : STEPS) {
    const stamp = hashFiles(root, inputs(root));
    if (stamps[name] === stamp && outputs(root).every((file) => existsSync(join(root, file)))) {
      continue;
    }
    await step(label, () => build(root));
    stamps[name] = stamp;
    mkdirSync(dirname(stampFile), { recursive: true });
    writeFileSync(stampFile, `${JSON.stringify(stamps, null, 2)}\n`);
  }
  await writeRevision(root);
}

/** Lays git's name of this commit beside the compiled code; nothing where there is no git. */
async function writeRevision(root) {
  const file = join(root, 'dist/revision');
  // Without this look, git would answer for a repository that this folder happens to lie in.
  const isCheckout = existsSync(join(root, '.git'));
  const git = isCheckout && (await run('git', ['rev-parse', '--short=12', 'HEAD'], { cwd: root }));
  if (git && git.code === 0) writeFileSync(file, `${git.output}\n`);
  else rmSync(file, { force: true });
}

const STEPS = [
  {
    name: 'typescript',
    label: 'compiling the TypeScript',
    // This file is an input of each step: the flags are in it.
    inputs: (root) => [
      'tools/setup/compile.mjs',
      'tools/setup/bundle.mjs',
      'tsconfig.json',
      // Other packages are other code in the bundle.
      'package-lock.json',
      ...typescriptFiles(root),
    ],
    outputs: (root) => [...typescriptFiles(root).map(compiledName), `${BUNDLE}/LICENSES`],
    build: compileTypescript,
  },
  {
    name: 'bpf',
    label: 'compiling the BPF programs',
    inputs: (root) => ['tools/setup/compile.mjs', ...filesBelow(root, 'bpf')],
    outputs: (root) => bpfPrograms(root).map(objectName),
    build: compileBpf,
  },
  {
    name: 'addon',
    label: 'building the native addon',
    inputs: addonFiles,
    outputs: () => ['build/Release/rxscope.node'],
    build: buildAddon,
  },
];

/** The addon once more, which ends the process at the first access or value that C++ forbids. */
const SANITIZED = {
  name: 'sanitized',
  label: 'building the native addon with AddressSanitizer and UBSan, for its tests',
  inputs: addonFiles,
  // Below the ordinary one's folder, which node-gyp empties first: then it is built anew, too.
  outputs: () => [`${SANITIZED_FOLDER}/build/Release/rxscope.node`],
  build: buildSanitized,
};
const SANITIZED_FOLDER = 'build/sanitized';
const SANITIZER = '-fsanitize=address,undefined -fno-sanitize-recover=all';
// UBSan's runtime within the addon: beside ASan's, a shared one names its report's file to ASan's, and loses it.
export const SANITIZER_LINK = `${SANITIZER} -static-libubsan -Wl,-Bsymbolic`;

function addonFiles(root) {
  return [
    'tools/setup/compile.mjs',
    'binding.gyp',
    'node_modules/node-addon-api/package.json',
    ...filesBelow(root, 'native'),
  ];
}

async function compileTypescript(root) {
  // Without its record of the last run the compiler writes every file, also one that was deleted.
  rmSync(join(root, 'dist/.tsbuildinfo'), { force: true });
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  await mustRun(root, 'The TypeScript compiler', process.execPath, [tsc, '-p', '.'], '');
  const current = new Set(typescriptFiles(root).map(compiledName));
  for (const file of filesBelow(root, 'dist')) {
    // What a source that has gone left behind must not be run or packed.
    const stale = /\.js(\.map)?$/.test(file) && !current.has(file.replace(/\.map$/, ''));
    if (stale) rmSync(join(root, file));
  }
  await bundle(root);
  chmodSync(join(root, 'dist/commands/main.js'), 0o755);
}

async function compileBpf(root) {
  if (process.arch !== 'x64') {
    throw new SetupError(
      `cannot compile the BPF programs for ${process.arch}.`,
      'Their flags and include folders are known for x86-64 only.',
      'Use an x86-64 machine.',
    );
  }
  rmSync(join(root, 'dist/bpf'), { recursive: true, force: true });
  mkdirSync(join(root, 'dist/bpf'), { recursive: true });
  await Promise.all(bpfPrograms(root).map((source) => compileBpfProgram(root, source)));
}

async function compileBpfProgram(root, source) {
  const object = objectName(source);
  const temporary = `${object}.tmp`;
  const hint = 'A missing header? It comes with libbpf-dev or linux-libc-dev.';
  const flags = ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', '-D__TARGET_ARCH_x86', '-Ibpf'];
  // clang does not look into the host's folder for <asm/types.h> when it compiles for BPF.
  const include = ['-I/usr/include/x86_64-linux-gnu', '-Wall', '-Werror'];
  const files = ['-c', source, '-o', temporary];
  await mustRun(root, 'clang', 'clang', [...flags, ...include, ...files], hint);
  // Removes DWARF, which is large, and keeps BTF, which CO-RE needs.
  await mustRun(root, 'llvm-strip', 'llvm-strip', ['-g', temporary], '');
  renameSync(join(root, temporary), join(root, object));
}

async function buildAddon(root) {
  await nodeGyp(root, 'rebuild', ['--release']);
}

async function buildSanitized(root) {
  const folder = join(root, SANITIZED_FOLDER);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const name of ['binding.gyp', 'native', 'node_modules', 'package.json'])
    symlinkSync(join('../..', name), join(folder, name));
  // Lines are all that a report needs of the debugger's information.
  const env = { CXXFLAGS: `${SANITIZER} -O1 -g1 -fno-omit-frame-pointer`, LDFLAGS: SANITIZER_LINK };
  await nodeGyp(root, 'rebuild', ['--release', `--directory=${folder}`], env);
}

async function nodeGyp(root, verb, options, env = {}) {
  const program = join(root, 'node_modules/node-gyp/bin/node-gyp.js');
  const hint = 'A missing header? libbpf-dev has bpf/libbpf.h; Node.js has node_api.h.';
  const args = [program, verb, ...options, '--jobs=max', ...nodeHeaders()];
  await mustRun(root, 'node-gyp', process.execPath, args, hint, env);
}

/** Node's own headers where its package brought them, so that node-gyp need not download them. */
function nodeHeaders() {
  if (process.env.npm_config_nodedir !== undefined) return [];
  const prefixes = [dirname(dirname(process.execPath)), '/usr'];
  const prefix = prefixes.find((one) => existsSync(join(one, 'include/node/node_api.h')));
  return prefix === undefined ? [] : [`--nodedir=${prefix}`];
}

async function mustRun(root, what, command, args, hint, env = {}) {
  const { code, output } = await run(command, args, { cwd: root, env: { ...process.env, ...env } });
  if (code === 0) return;
  const line = [basename(command), ...args].join(' ');
  throw new SetupError(
    `${what} failed (exit code ${code}).`,
    `It said:\n${output}`,
    `${hint === '' ? '' : `${hint}\n`}To see it alone, run in the checkout: ${line}`,
  );
}

function typescriptFiles(root) {
  return filesBelow(root, 'src').filter((file) => file.endsWith('.ts'));
}

function compiledName(source) {
  return source.replace(/^src\//, 'dist/').replace(/\.ts$/, '.js');
}

function bpfPrograms(root) {
  return filesBelow(root, 'bpf').filter((file) => file.endsWith('.bpf.c'));
}

function objectName(source) {
  return `dist/${source.replace(/\.c$/, '.o')}`;
}

/** Every file below a folder, as sorted paths from `root`; none when there is no such folder. */
function filesBelow(root, folder) {
  const path = join(root, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path, { withFileTypes: true })
    .flatMap((entry) => {
      const name = `${folder}/${entry.name}`;
      return entry.isDirectory() ? filesBelow(root, name) : [name];
    })
    .sort();
}

function hashFiles(root, files) {
  const hash = createHash('sha256');
  for (const file of files) {
    const path = join(root, file);
    hash.update(`${file}\0`).update(existsSync(path) ? readFileSync(path) : 'absent');
  }
  return hash.digest('hex');
}

function readStamps(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return {};
  }
}
