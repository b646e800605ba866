// Runs a JavaScript file of this folder in a guest (guest.sh) and brings back what it reports.
// The file prints one JSON object a line: { "measurement": … } or whatever its test agrees upon.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { histogramsByProbe, type Measurement } from '../../src/agent/measure.ts';

export interface GuestTask {
  /** Debian kernel image by version and flavour, such as `6.12-cloud`. */
  readonly series: string;
  /** A file of this folder, and its arguments. */
  readonly script: string;
  readonly args: readonly string[];
  /** More arguments for QEMU, such as those of a network card. */
  readonly qemu?: string;
  /** Hears each reported line as it comes. */
  readonly onLine?: (line: Readonly<Record<string, unknown>>) => void;
}

/** The status of guest.sh when its guest never got as far as the command. */
const NEVER_STARTED = 125;
/** Of a guest, which needs 8 to 15 s on an idle machine. Downloading its kernel, once, has its own. */
const TIME_LIMIT_SECONDS = 90;
const DOWNLOAD_LIMIT_SECONDS = 180;

/** For the hook of a test that boots a guest, a second try and a download included. */
export const GUEST_TIMEOUT_MS = (2 * TIME_LIMIT_SECONDS + DOWNLOAD_LIMIT_SECONDS) * 1000;

/** All lines that the script reported. A guest that never started gets one more chance. */
export async function runInGuest(task: GuestTask): Promise<Readonly<Record<string, unknown>>[]> {
  let run = await runOnce(task);
  if (run.status === NEVER_STARTED) run = await runOnce(task);
  if (run.status !== 0) {
    throw new Error(
      `${task.script} ended with ${run.status} in a ${task.series} guest:\n${run.errors}`,
    );
  }
  return run.lines;
}

/** The measurement of a line that has one, as plainMeasurement of report.mjs wrote it. */
export function measurementOf(line: Readonly<Record<string, unknown>> | undefined): Measurement {
  const { measurement } = line as { measurement: Omit<Measurement, 'histograms'> };
  return { ...measurement, histograms: histogramsByProbe(measurement.reading) };
}

interface Run {
  readonly status: number;
  readonly lines: Readonly<Record<string, unknown>>[];
  readonly errors: string;
}

function runOnce({ series, script, args, qemu, onLine }: GuestTask): Promise<Run> {
  const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
  const options = ['-t', `${TIME_LIMIT_SECONDS}`, ...(qemu === undefined ? [] : ['-q', qemu])];
  const command = [process.execPath, file(script), ...args];
  const child = spawn(file('guest.sh'), [...options, series, '--', ...command], {
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

function reviveCounts(key: string, value: unknown): unknown {
  return key === 'counts' && Array.isArray(value) ? Float64Array.from(value as number[]) : value;
}
