// Brings node_modules to what package-lock.json says. Compares with npm's own record of what it
// installed, so a folder that npm or its user changed meanwhile is seen; no file is hashed.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, SetupError, step } from './report.mjs';

/** Runs `npm ci` unless node_modules already holds exactly what the lock file asks for. */
export async function installDependencies(root) {
  if (isInstalled(root)) return;
  await step('installing the npm dependencies (npm ci)', async () => {
    // Development dependencies are what builds rxscope: NODE_ENV=production must not omit them.
    const args = ['ci', '--include=dev', '--no-audit', '--no-fund'];
    const npm = process.env.npm_execpath;
    const result = await (npm === undefined
      ? run('npm', args, { cwd: root })
      : run(process.execPath, [npm, ...args], { cwd: root }));
    if (result.code !== 0) throw installFailed(result);
  });
}

function isInstalled(root) {
  // npm writes this record last: an installation that was interrupted has none.
  const installed = readPackages(join(root, 'node_modules/.package-lock.json'));
  if (installed === undefined) return false;
  const wanted = readPackages(join(root, 'package-lock.json')) ?? {};
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue;
    // Another platform's optional binaries are in the lock file and rightly not installed.
    if (installed[path] === undefined && entry.optional) continue;
    if (installed[path]?.version !== entry.version) return false;
    if (installed[path]?.integrity !== entry.integrity) return false;
  }
  return Object.keys(installed).every((path) => wanted[path] !== undefined);
}

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

function installFailed({ code, output }) {
  const offline = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ECONNRESET|ENOTCACHED/;
  return new SetupError(
    `npm ci failed (exit code ${code}).`,
    `${offline.test(output) ? 'The package registry cannot be reached. ' : ''}It said:\n${output}`,
    'Mend that (network? proxy? full disk? package-lock.json?), try `npm ci` by hand, then run this again.',
  );
}
