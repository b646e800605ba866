// What `npm start` and `npm test` do before their own work: make the checkout ready to run.
// Runs on a bare Node, without any dependency, and does only what is missing.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { compile } from './compile.mjs';
import { installDependencies } from './dependencies.mjs';
import { IMAGE_PACKAGES, installPackages, RUN_PACKAGES, TEST_PACKAGES } from './packages.mjs';
import { fail, SetupError } from './report.mjs';

/** The checkout's top folder. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Makes the checkout ready, or ends the process with one message that says what to do. */
export async function setup({ tests }) {
  try {
    checkNode(JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')).engines.node);
    await installPackages([
      ...RUN_PACKAGES,
      ...(tests ? TEST_PACKAGES : []),
      ...(tests && process.env.RXSCOPE_DEPLOY === 'all' ? IMAGE_PACKAGES : []),
    ]);
    await installDependencies(ROOT);
    await compile(ROOT, { tests });
  } catch (error) {
    fail(error);
  }
}

/** Only what the type checker and the linter need: no system package, nothing compiled. */
export async function setupDependencies() {
  try {
    await installDependencies(ROOT);
  } catch (error) {
    fail(error);
  }
}

function checkNode(range) {
  // package.json states the oldest version as `>=MAJOR.MINOR`; no other form is in use there.
  const [needMajor, needMinor] = range.replace('>=', '').split('.').map(Number);
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > needMajor || (major === needMajor && minor >= needMinor)) return;
  throw new SetupError(
    `Node.js ${process.versions.node} is too old: rxscope needs ${range}.`,
    `It was started by ${process.execPath}.`,
    'Install a newer Node.js (20, 22 or 24), put it first on PATH, then run the command again.',
  );
}
