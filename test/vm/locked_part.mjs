// A part of kernel_guest.mjs: on a locked-down kernel, what `rxscope probes` says and what bpftrace
// does. Judges nothing: matrix.test.ts does.

import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { report } from './report.mjs';

const SECURITY = '/sys/kernel/security';
const CLI = fileURLToPath(new URL('../../dist/commands/main.js', import.meta.url));

export function tryOthers() {
  execFileSync('mount', ['-t', 'securityfs', 'securityfs', SECURITY]);
  const probes = spawnSync(process.execPath, [CLI, 'probes', '--json'], { encoding: 'utf8' });
  const bpftrace = spawnSync('bpftrace', ['-e', 'BEGIN { exit(); }'], { encoding: 'utf8' });
  report({
    part: 'locked',
    lockdown: readFileSync(`${SECURITY}/lockdown`, 'utf8').trim(),
    probes: JSON.parse(probes.stdout),
    bpftrace: { status: bpftrace.status, output: bpftrace.stdout + bpftrace.stderr },
  });
}
