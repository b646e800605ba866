// `rxscope trace`: runs one bundled bpftrace script for a while and prints what it measured.
// The scripts decide what is measured; src/capture/bpftrace runs them and explains their failures.

import { askedToEnd, endAtHangUp, endInOrder } from '../../agent/signals.ts';
import { findBpftrace } from '../../capture/bpftrace/find.ts';
import { scriptFile } from '../../capture/bpftrace/names.ts';
import type { Bucket, ScriptOutput } from '../../capture/bpftrace/output.ts';
import { type ScriptOptions, startScript } from '../../capture/bpftrace/runner.ts';
import { shownBytes } from '../../host/device_names.ts';
import { colorsFor } from '../../terminal/colors.ts';
import { print } from '../../terminal/output.ts';
import type { TraceOptions } from '../options.ts';
import {
  renderTrace,
  renderTraceFailure,
  type TraceBucket,
  type TraceHistogram,
  type TraceResult,
  type TraceValue,
} from './render.ts';

/** Detaching a dozen programs and printing thousands of rows takes a busy machine seconds. */
const STOP_MS_MAX = 20_000;
const UNBEGUN_MS_MAX = 1000;

/** Resolves to the exit code: 1 when the script could not run. SIGINT ends it early. */
export async function traceOnce({ script, durationMs, json }: TraceOptions): Promise<number> {
  endInOrder();
  endAtHangUp();
  const result = await runTrace({ script, durationMs });
  if (json) print(`${JSON.stringify(result, null, 2)}\n`);
  else if (result.reason === undefined) print(renderTrace(result, colorsFor(process.stdout)));
  else process.stderr.write(renderTraceFailure(script, result.reason, colorsFor(process.stderr)));
  return result.reason === undefined ? 0 : 1;
}

async function runTrace({ script, durationMs }: Omit<TraceOptions, 'json'>): Promise<TraceResult> {
  const collected = new Collected();
  const bpftrace = await findBpftrace(process.env, askedToEnd);
  if ('reason' in bpftrace) {
    return { script, version: '', seconds: 0, ...collected.result(), reason: bpftrace.reason };
  }
  const timeUp = new AbortController();
  const ending = AbortSignal.any([askedToEnd, timeUp.signal]);
  let startedMs: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  let seconds = 0;
  ending.addEventListener('abort', () => {
    if (startedMs !== undefined) seconds = (performance.now() - startedMs) / 1000;
  });
  const options: ScriptOptions = {
    bpftrace,
    file: scriptFile(script),
    signal: ending,
    // Asked for when the script is to end: what has not begun has nothing to print.
    get stopMsMax() {
      return startedMs === undefined ? UNBEGUN_MS_MAX : STOP_MS_MAX;
    },
    onOutput: (output) => {
      // Every script says so once all of its programs are attached: from then on it measures.
      if (output.type === 'printf' && startedMs === undefined) {
        startedMs = performance.now();
        timer = setTimeout(() => timeUp.abort(), durationMs);
      }
      collected.add(output);
    },
    onProblem: () => {
      collected.lost++;
    },
  };
  const ended = await startScript(options).done;
  clearTimeout(timer);
  const reason =
    ended.reason ?? (startedMs === undefined ? 'it was stopped before it had begun' : undefined);
  return {
    script,
    version: bpftrace.version,
    seconds,
    ...collected.result(),
    ...(reason === undefined ? {} : { reason }),
  };
}

/** The maps that a script printed at its end. */
export class Collected {
  lost = 0;
  readonly #histograms: TraceHistogram[] = [];
  readonly #values: TraceValue[] = [];

  add(output: ScriptOutput): void {
    if (output.type === 'lost_events') this.lost += output.events;
    if (output.type === 'hist') {
      for (const { key: bytes, buckets } of output.rows) {
        const key = shown(bytes);
        const counted = buckets.map(bucketOf).sort((a, b) => edge(a) - edge(b));
        const count = counted.reduce((sum, one) => sum + one.count, 0);
        this.#histograms.push({ ...named(output.name), key, count, buckets: counted });
      }
    }
    if (output.type === 'map') {
      for (const { key, value } of output.rows) {
        if (value !== null && typeof value !== 'object')
          this.#values.push({ ...named(output.name), key: shown(key), value: shownValue(value) });
      }
    }
  }

  result(): Pick<TraceResult, 'histograms' | 'values' | 'lost'> {
    return {
      histograms: this.#histograms.toSorted((a, b) => byName(a, b) || b.count - a.count),
      values: this.#values.toSorted(
        (a, b) => byName(a, b) || Number(b.value) - Number(a.value) || byKey(a, b),
      ),
      lost: this.lost,
    };
  }
}

/** Names of devices and tasks, which others gave them. */
function shown(latin1: string): string {
  return shownBytes(Buffer.from(latin1, 'latin1'));
}

function shownValue(value: number | string | boolean): number | string | boolean {
  return typeof value === 'string' ? shown(value) : value;
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

function byKey(a: { readonly key: string }, b: { readonly key: string }): number {
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}

/** `@lock_wait_ns` is lock_wait, in nanoseconds. */
function named(map: string): Pick<TraceValue, 'name' | 'unit'> {
  const name = map.replace(/^@/, '');
  return name.endsWith('_ns')
    ? { name: name.slice(0, -'_ns'.length), unit: 'ns' }
    : { name, unit: 'none' };
}

/** What bpftrace 0.17 prints for everything from 2^31 on; newer ones print true bounds. */
const OVERFLOW = -(2 ** 31);

function bucketOf({ min, max, count }: Bucket): TraceBucket {
  if (min === OVERFLOW) return { min: 2 ** 31, max: null, count };
  return { min: min ?? null, max: max ?? null, count };
}

function edge({ min }: TraceBucket): number {
  return min ?? Number.NEGATIVE_INFINITY;
}
