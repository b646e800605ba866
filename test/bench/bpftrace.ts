// Runs a bpftrace script beside rxscope and tells what its programs cost. Which programs are its
// own is what the kernel says of that process, so others' programs are never counted as its.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../kernel/lab.ts';
import type { Contender, ProgramCost } from './kernel_cost.ts';

const TRACEFS = '/sys/kernel/tracing';
/** bpftrace compiles for about a second; a busy machine takes several. */
const ATTACH_MS_MAX = 30_000;

/** Starts the script; resolves when each of its tracepoints is attached. */
export async function startBpftrace(name: string, script: string): Promise<Contender> {
  const unmount = mountTracefs();
  const child = spawn('bpftrace', [script], { stdio: ['ignore', 'ignore', 'pipe'] });
  let complaints = '';
  child.stderr.on('data', (chunk: Buffer) => {
    complaints += chunk.toString();
  });
  const close = async (): Promise<void> => {
    await end(child);
    unmount();
  };
  const wanted = readFileSync(script, 'utf8').match(/^tracepoint:/gm)?.length ?? 0;
  const giveUp = performance.now() + ATTACH_MS_MAX;
  let attached: readonly Attached[] = [];
  while (attached.length < wanted) {
    if (child.exitCode !== null || performance.now() > giveUp) {
      await close();
      throw new Error(`bpftrace did not attach ${script}: ${complaints.trim()}`);
    }
    await sleep(100);
    attached = attachedBy(child.pid);
  }
  return { name, read: () => costs(attached), close };
}

interface Attached {
  readonly pid: number;
  readonly prog_id: number;
  readonly tracepoint: string;
}

function attachedBy(pid: number | undefined): Attached[] {
  const all = JSON.parse(run('bpftool', 'perf', 'show', '-j')) as Attached[];
  return all.filter((one) => one.pid === pid);
}

interface Loaded {
  readonly id: number;
  readonly run_time_ns?: number;
  readonly run_cnt?: number;
}

function costs(attached: readonly Attached[]): Map<string, ProgramCost> {
  const loaded = JSON.parse(run('bpftool', 'prog', 'show', '-j')) as Loaded[];
  const byId = new Map(loaded.map((program) => [program.id, program]));
  return new Map(
    attached.map(({ prog_id, tracepoint }) => {
      const program = byId.get(prog_id);
      // bpftool leaves both out while a program has not run.
      return [tracepoint, { runTimeNs: program?.run_time_ns ?? 0, runs: program?.run_cnt ?? 0 }];
    }),
  );
}

/** bpftrace finds its tracepoints in tracefs. Returns what unmounts it if it was not mounted. */
function mountTracefs(): () => void {
  if (existsSync(`${TRACEFS}/events`)) return () => {};
  run('mount', '-t', 'tracefs', 'tracefs', TRACEFS);
  return () => run('umount', TRACEFS);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGINT');
  await ended;
}
