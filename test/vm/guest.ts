// Runs a JavaScript file of this folder in a guest (guest.sh) and brings back what it reports.
// The file prints one JSON object a line: { "captured": … } or whatever its test agrees upon.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Captured, histogramsByProbe } from '../../src/capture/capture_once.ts';

export interface GuestTask {
  /** Debian kernel image by version and flavour, such as `6.12-cloud` or `sid:7.2-cloud`. */
  readonly series: string;
  /** A file of this folder, and its arguments. */
  readonly script: string;
  readonly args: readonly string[];
  /** More of the kernel's command line, such as `threadirqs`. */
  readonly kernelArguments?: string | undefined;
  /** More arguments for QEMU, such as those of a network card. */
  readonly qemu?: string;
  /**
   * Whether QEMU runs the guest's CPUs in turn, on one thread, or at once, as it must where one is to delay the
   * other. Absent: at once, and where that ends in a fault of the emulation, in turn.
   */
  readonly cpus?: 'in turn' | 'at once';
  /** Hears each reported line as it comes. */
  readonly onLine?: (line: Readonly<Record<string, unknown>>) => void;
}

/** The status of guest.sh when its guest never got as far as the command. */
const NEVER_STARTED = 125;
/** Of a guest, which needs 30 to 60 s on an idle machine. Downloading its kernel, once, has its own. */
const TIME_LIMIT_SECONDS = 480;
const DOWNLOAD_LIMIT_SECONDS = 180;

/** For the hook of a test that boots a guest, a second try and a download included. */
export const GUEST_TIMEOUT_MS = (2 * TIME_LIMIT_SECONDS + DOWNLOAD_LIMIT_SECONDS) * 1000;

/**
 * With a thread for each CPU QEMU may run a breakpoint that the kernel, which changes its own code where a
 * tracepoint is switched, has taken out again. No real CPU does, and the kernel rightly gives up. On one
 * thread it cannot.
 */
const EMULATION_FAULT = /Oops: int3/;

/**
 * All lines that the script reported. A guest that never started, or that died of a fault of the
 * emulation, gets one more chance.
 */
export async function runInGuest(task: GuestTask): Promise<Readonly<Record<string, unknown>>[]> {
  let run = await boot(task, task.cpus === 'in turn');
  const reason = secondBootReason(run);
  if (reason !== undefined) {
    // tools/setup/tally.mjs looks for such lines: `npm test` ends with them.
    console.log(`second boot of a ${task.series} guest for ${task.script}: ${reason}`);
    run = await boot(task, task.cpus !== 'at once');
  }
  if (run.status !== 0) {
    throw new Error(
      `${task.script} ended with ${run.status} in a ${task.series} guest:\n${run.errors}`,
    );
  }
  return run.lines;
}

/** Why a guest may be booted once more: for what no real machine does. */
function secondBootReason({ status, errors }: Run): string | undefined {
  if (EMULATION_FAULT.test(errors))
    return 'QEMU ran a breakpoint that the kernel had taken out again';
  return status === NEVER_STARTED ? 'it had not started' : undefined;
}

/** What was captured, of a line that has it, as plainCaptured of report.mjs wrote it. */
export function capturedOf(line: Readonly<Record<string, unknown>> | undefined): Captured {
  const { captured } = line as { captured: Omit<Captured, 'histograms'> };
  return { ...captured, histograms: histogramsByProbe(captured.reading) };
}

/** In a mount namespace of its own, tracefs is where a guest has it. */
const WITH_TRACEFS = [
  'unshare',
  '-m',
  'bash',
  '-c',
  'mount -t tracefs tracefs /sys/kernel/tracing && exec "$@"',
  '-',
];

/** The same on the kernel that this machine runs. */
export async function runOnThisMachine(
  task: Pick<GuestTask, 'script' | 'args'>,
): Promise<Readonly<Record<string, unknown>>[]> {
  const run = await runOnce(
    [...WITH_TRACEFS, process.execPath, file(task.script), ...task.args],
    task,
  );
  if (run.status !== 0) throw new Error(`${task.script} ended with ${run.status}:\n${run.errors}`);
  return run.lines;
}

interface Run {
  readonly status: number;
  readonly lines: Readonly<Record<string, unknown>>[];
  readonly errors: string;
}

function boot(task: GuestTask, inTurn: boolean): Promise<Run> {
  const { series, script, args, kernelArguments, qemu } = task;
  const options = ['-t', `${TIME_LIMIT_SECONDS}`];
  if (inTurn) options.push('-s');
  if (kernelArguments !== undefined) options.push('-k', kernelArguments);
  if (qemu !== undefined) options.push('-q', qemu);
  const command = [process.execPath, file(script), ...args];
  return runOnce([file('guest.sh'), ...options, series, '--', ...command], task);
}

function runOnce(
  [program = '', ...args]: readonly string[],
  { script, onLine }: Pick<GuestTask, 'script' | 'onLine'>,
): Promise<Run> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: (TIME_LIMIT_SECONDS + DOWNLOAD_LIMIT_SECONDS) * 1000,
  });
  return new Promise((resolve, reject) => {
    const lines: Readonly<Record<string, unknown>>[] = [];
    let errors = '';
    createInterface(child.stdout).on('line', (text) => {
      try {
        const line = JSON.parse(text, reviveCounts) as Readonly<Record<string, unknown>>;
        lines.push(line);
        onLine?.(line);
      } catch (cause) {
        child.kill();
        reject(new Error(`${script} reported what is no JSON: ${text.slice(0, 200)}`, { cause }));
      }
    });
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ status: code ?? NEVER_STARTED, lines, errors }));
  });
}

function file(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

function reviveCounts(key: string, value: unknown): unknown {
  return key === 'counts' && Array.isArray(value) ? Float64Array.from(value as number[]) : value;
}
