// Puts the executable together: dist/commands/main.js and what it loads, one file a command with what
// several share, so that a start opens a dozen files and not hundreds. What tsc made of the other sources
// stays beside it, for tests. Names and lines stay as they are: a stack trace tells of functions.

import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** In one folder, two below the top as all that is compiled: see src/addon/root.ts. */
export const BUNDLE = 'dist/bundle';

/** Parts of fastify that it loads for schemas and for tests, which the agent has none of. */
const NEVER_LOADED = [
  '@fastify/ajv-compiler',
  '@fastify/fast-json-stringify-compiler',
  'light-my-request',
];

export async function bundle(root) {
  rmSync(join(root, BUNDLE), { recursive: true, force: true });
  // By then npm has installed it.
  const { build } = await import(
    pathToFileURL(join(root, 'node_modules/esbuild/lib/main.js')).href
  );
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [{ in: 'src/commands/main.ts', out: 'commands/main' }],
    outdir: 'dist',
    chunkNames: 'bundle/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: NEVER_LOADED,
    // Without its blanks the code is half as long, and V8 keeps all of it. Names stay, and lines, for stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: 100,
    // What CommonJS packages call to load Node's own modules.
    banner: {
      js: "const require = process.getBuiltinModule('node:module').createRequire(import.meta.url);",
    },
    sourcemap: 'external',
    metafile: true,
    logLevel: 'silent',
  });
  writeFileSync(join(root, BUNDLE, 'LICENSES'), licences(root, Object.keys(metafile.inputs)));
}

/** The licence of each package that became a part of the bundle. */
function licences(root, inputs) {
  // The innermost: a package may have another within it.
  const folders = inputs.flatMap(
    (file) => /.*\bnode_modules\/(@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? [],
  );
  const parts = [...new Set(folders)].sort().map((folder) => licenceOf(root, folder));
  return `The files in this folder contain these packages.\n\n${parts.join('\n')}`;
}

function licenceOf(root, folder) {
  const path = join(root, folder);
  const { name, version, license } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
  const file = readdirSync(path).find((one) => /^(licen[cs]e|copying)/i.test(one));
  const text = file === undefined ? '' : `\n${readFileSync(join(path, file), 'utf8').trim()}\n`;
  return `## ${name} ${version}: ${license}\n${text}`;
}
