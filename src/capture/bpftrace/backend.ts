// The bpftrace backend: one script for each probe that it is asked to measure, whatever bpftrace
// the host has. Knows no metric and no label; see script_reading.ts for what is measured.

import { readFileSync, statSync } from 'node:fs';
import { probeOf } from '../../probes/index.ts';
import { isPreemptRt } from '../preempt_rt.ts';
import { findBpftrace } from './find.ts';
import { scriptFile } from './names.ts';
import { readScript, type ScriptReading, stateMaps } from './script_reading.ts';
import { type ScriptState, Supervisor } from './supervisor.ts';

export interface ScriptStatus {
  readonly probe: string;
  /** Its file: `<probe>.bt`. */
  readonly program: string;
  readonly state: ScriptState;
  /** Version of the bpftrace that runs it, when there is one. */
  readonly version?: string;
}

export interface BackendListener {
  /** A script changed its state: attached, died, given up. */
  onChange(status: ScriptStatus): void;
  /** A line of output that makes no sense; the script goes on. */
  onProblem(probe: string, problem: string): void;
}

export interface ScriptReadings {
  /** By probe; what a script counted before it died stays. */
  readonly readings: ReadonlyMap<string, ScriptReading>;
  /** Probes whose script did not answer in time: their counts are those of the last read. */
  readonly stale: readonly string[];
}

export class BpftraceBackend {
  readonly probes: readonly string[];
  readonly #listener: BackendListener;
  readonly #states = new Map<string, ScriptState>();
  readonly #supervisors = new Map<string, Supervisor>();
  #version: string | undefined;
  #stopped = false;

  constructor(probes: readonly string[], listener: BackendListener) {
    this.probes = probes;
    this.#listener = listener;
    for (const probe of probes) this.#states.set(probe, { phase: 'starting' });
  }

  /** Resolves when each script stands or is given up; never rejects. */
  async start(): Promise<void> {
    const found = await findBpftrace();
    if (this.#stopped) return;
    if ('reason' in found) {
      for (const probe of this.probes) this.#change(probe, { phase: 'down', reason: found.reason });
      return;
    }
    this.#version = found.version;
    for (const probe of this.probes) {
      const why = unsuited(probe);
      if (why !== undefined) {
        this.#change(probe, { phase: 'down', reason: why });
        continue;
      }
      const file = scriptFile(probe);
      const supervisor = new Supervisor({
        bpftrace: found,
        file,
        text: readFileSync(file, 'utf8'),
        args: [String(statSync('/proc/self/ns/net').ino)],
        stateMaps: stateMaps(probe),
        onChange: (state) => this.#change(probe, state),
        onProblem: (problem) => this.#listener.onProblem(probe, problem),
      });
      this.#supervisors.set(probe, supervisor);
      supervisor.start();
    }
    await Promise.all([...this.#supervisors.values()].map(({ settled }) => settled));
  }

  statuses(): ScriptStatus[] {
    return this.probes.map((probe) => this.#status(probe));
  }

  async read(): Promise<ScriptReadings> {
    const readings = new Map<string, ScriptReading>();
    const stale: string[] = [];
    await Promise.all(
      [...this.#supervisors].map(async ([probe, supervisor]) => {
        const { tally, fresh } = await supervisor.read();
        readings.set(probe, readScript(probe, tally));
        if (!fresh) stale.push(probe);
      }),
    );
    return { readings, stale };
  }

  /** Resolves when no process is left; harmless twice. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#supervisors.values()].map((supervisor) => supervisor.stop()));
  }

  #status(probe: string): ScriptStatus {
    return {
      probe,
      program: `${probe}.bt`,
      state: this.#states.get(probe) ?? { phase: 'starting' },
      ...(this.#version === undefined ? {} : { version: this.#version }),
    };
  }

  #change(probe: string, state: ScriptState): void {
    this.#states.set(probe, state);
    this.#listener.onChange(this.#status(probe));
  }
}

/** Why a script would attach and yet measure nothing here. */
function unsuited(probe: string): string | undefined {
  if (probeOf(probe)?.script?.ignoresThreads !== true) return undefined;
  const threaded =
    isPreemptRt() || / threadirqs\b/.test(` ${readFileSync('/proc/cmdline', 'utf8')}`);
  return threaded
    ? 'interrupt handlers run in threads here (PREEMPT_RT or threadirqs), which the bpftrace script does not follow'
    : undefined;
}
