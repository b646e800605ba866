// Runs in a guest, as root: each of the commands that it is given as JSON, one after the other, and
// reports how it ended. Judges nothing: permissions.test.ts does.
//
//   permissions_guest.mjs { name, command, paranoid?, until? }...
//
// `paranoid` sets kernel.perf_event_paranoid before; a command with `until` gets SIGTERM once its
// stderr has these words.

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { report } from './report.mjs';

for (const argument of process.argv.slice(2)) {
  const { name, command, paranoid, until } = JSON.parse(argument);
  if (paranoid !== undefined) {
    writeFileSync('/proc/sys/kernel/perf_event_paranoid', String(paranoid));
  }
  report({ name, ...(await run(command, until)) });
}

function run([program, ...words], until) {
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
    if (until !== undefined && stderr.includes(until)) child.kill('SIGTERM');
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, stdout, stderr }));
  });
}
