// `npm test -- ARGUMENTS`: makes the checkout and its test tools ready, then runs vitest with
// these arguments. Ends with the runner's own summary and the line `N passed, N failed, N skipped`.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT, setup } from './setup.mjs';

/** Files whose time is told: where to begin when the whole takes too long. */
const SLOWEST = 10;

await setup({ tests: true });

const folder = mkdtempSync(join(tmpdir(), 'rxscope-test-'));
try {
  const tallyFile = join(folder, 'tally.json');
  const code = await runVitest(process.argv.slice(2), tallyFile);
  process.exitCode = conclude(code, readTally(tallyFile));
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function runVitest(args, tallyFile) {
  const reporter = fileURLToPath(new URL('tally.mjs', import.meta.url));
  const reporters = ['--reporter=default', `--reporter=${reporter}`];
  const child = spawn(
    process.execPath,
    ['node_modules/vitest/vitest.mjs', 'run', ...reporters, ...args],
    { cwd: ROOT, stdio: 'inherit', env: { ...process.env, RXSCOPE_TALLY_FILE: tallyFile } },
  );
  // The tests take down their namespaces and agents first: wait for them, then report.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => child.on('close', (status) => resolve(status ?? 1)));
}

/** Prints the last lines and returns the exit code. */
function conclude(code, tally) {
  if (tally === undefined) {
    console.error('vitest ended before it had run the tests: see above.');
    return code === 0 ? 1 : code;
  }
  const { passed, failed, skipped, secondRun, secondBoots, files } = tally;
  if (files.length > SLOWEST) {
    console.log(`the ${SLOWEST} slowest files:`);
    const slowest = files.toSorted((a, b) => b.seconds - a.seconds).slice(0, SLOWEST);
    for (const { file, seconds } of slowest)
      console.log(`${seconds.toFixed(0).padStart(6)} s  ${file}`);
  }
  for (const { name, found, reason } of secondRun) {
    console.log(`passed at the second run: ${name}: at the first, ${found.split('\n')[0]}`);
    console.log(`  ${reason === undefined ? 'It does not say why it may.' : `It may: ${reason}`}`);
  }
  for (const line of secondBoots) console.log(line);
  for (const { name, reason } of skipped) console.log(`skipped: ${name}: ${reason}`);
  // CI has everything that a test may ask for: what is skipped there is not tested anywhere.
  const untested = process.env.CI === 'true' && skipped.length > 0;
  if (untested) console.log('CI=true: a skipped test counts as a failure of the run.');
  const unexplained = secondRun.some(({ reason }) => reason === undefined);
  if (unexplained) {
    console.log(
      'A test that passes only at the second run, and does not say why it may, is a failure.',
    );
  }
  console.log(`${passed} passed, ${failed} failed, ${skipped.length} skipped`);
  return code === 0 && (untested || unexplained || failed > 0) ? 1 : code;
}

function readTally(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
