// `npm run check`: types, lint and format, house rules. Needs the npm dependencies, nothing built.
// Runs all of them before it fails, so that one run shows everything there is to mend.

import { spawnSync } from 'node:child_process';
import { ROOT, setupDependencies } from './setup.mjs';

const CHECKS = [
  { name: 'types of src', command: ['typescript/bin/tsc', '-p', '.', '--noEmit'] },
  { name: 'types of test', command: ['typescript/bin/tsc', '-p', 'test'] },
  {
    name: 'lint and format',
    command: ['@biomejs/biome/bin/biome', 'check', '--error-on-warnings'],
  },
  { name: 'house rules', command: ['vitest/vitest.mjs', 'run', 'test/repo'] },
];

await setupDependencies();

const failed = CHECKS.filter(({ name, command: [script, ...args] }) => {
  process.stdout.write(`\n${name}: ${args.join(' ')}\n`);
  const options = { cwd: ROOT, stdio: 'inherit' };
  return spawnSync(process.execPath, [`node_modules/${script}`, ...args], options).status !== 0;
});
const names = failed.map((check) => check.name).join(', ');
process.stdout.write(
  failed.length === 0 ? '\nchecks: all passed\n' : `\nchecks failed: ${names}\n`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
