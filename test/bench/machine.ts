// The machine that a figure was measured on: no figure is worth anything without it. Reads only.

import { readdirSync, readFileSync } from 'node:fs';
import { cpus, release } from 'node:os';

/** `Linux 6.18.44, 2 × AMD EPYC, Node.js v20.20.2`. */
export function machineLine(): string {
  const all = cpus();
  const model = all[0]?.model.trim() ?? 'unknown CPU';
  return `Linux ${release()}, ${all.length} × ${model}, Node.js ${process.version}`;
}

/** CPU time of all threads of a process so far, milliseconds; exact to the scheduler's clock. */
export function processCpuMs(pid: number): number {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const runNs = tasks.map((task) =>
    Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]),
  );
  return runNs.reduce((sum, ns) => sum + ns, 0) / 1e6;
}

/** Memory of a process that is in RAM now, and its highest so far, in MB (10^6 bytes). */
export function residentMb(pid: number): { now: number; highest: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mb = (field: string): number =>
    (Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024) / 1e6;
  return { now: mb('VmRSS'), highest: mb('VmHWM') };
}
