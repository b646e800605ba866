// Runs in a guest: lock_sock.bt under each bpftrace at once, while another program holds a socket's
// lock again and again. Reports what each bpftrace printed. Judges nothing: lock_sock.test.ts does.
//
//   lock_sock_guest.mjs HOLDER COUNT HOLD_MS BPFTRACE...

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { scriptFile } from '../../dist/capture/bpftrace/names.js';
import { startScript } from '../../dist/capture/bpftrace/runner.js';
import { report } from './report.mjs';

/** A guest is slow to detach and to print. */
const STOP_MS_MAX = 40_000;

const [holder, count, holdMs, ...programs] = process.argv.slice(2);

const running = programs.map((path) => {
  const outputs = [];
  const problems = [];
  let attached;
  const begun = new Promise((resolve) => {
    attached = resolve;
  });
  const script = startScript({
    bpftrace: { path, version: '' },
    file: scriptFile('lock_sock'),
    stopMsMax: STOP_MS_MAX,
    onOutput: (output) => {
      outputs.push(output);
      if (output.type === 'printf') attached();
    },
    onProblem: (problem) => problems.push(problem),
  });
  return { path, outputs, problems, script, begun: Promise.race([begun, script.done]) };
});
await Promise.all(running.map(({ begun }) => begun));
await promisify(execFile)(holder, [count, holdMs]);
for (const { path, outputs, problems, script } of running) {
  const { reason } = await script.stop();
  report({ path, outputs, problems, reason });
}
