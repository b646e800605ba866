// What `rxscope trace` makes of bpftrace's output, from the lines that bpftrace 0.17 and 0.27 print.

import pc from 'picocolors';
import { describe, expect, test } from 'vitest';
import { parseOutput } from '../../src/capture/bpftrace/output.ts';
import {
  renderTrace,
  renderTraceFailure,
  type TraceResult,
} from '../../src/commands/trace/render.ts';
import { Collected } from '../../src/commands/trace/trace.ts';

const plain = pc.createColors(false);

function collected(...lines: readonly string[]): Collected {
  const maps = new Collected();
  for (const line of lines) for (const output of parseOutput(line)) maps.add(output);
  return maps;
}

function result(maps: Collected, changes: Partial<TraceResult> = {}): TraceResult {
  return { script: 'lock_sock', version: '0.17.0', seconds: 10, ...maps.result(), ...changes };
}

const MAPS = [
  '{"type": "printf", "data": "Watching socket locks.\\n"}',
  '{"type": "map", "data": {"@waited_for": {"reader": 11, "writer": 13}}}',
  '{"type": "map", "data": {"@longest_wait_ns": {"writer,4711": 304070592}}}',
  '{"type": "map", "data": {"@empty": {}}}',
  '{"type": "hist", "data": {"@lock_wait_ns": {"reader": [{"min": 4096, "max": 8191, "count": 2}, {"min": 8192, "max": 16383, "count": 0}, {"min": 16384, "max": 32767, "count": 1}], "writer": [{"min": 1024, "max": 2047, "count": 17}]}}}',
];

test('draws histograms as rxscope record does, and gives a quantile as a bound', () => {
  expect(renderTrace(result(collected(...MAPS)), plain)).toBe(
    `lock_sock: 10.0 s with bpftrace 0.17.0; a bucket's bounds are a factor of two apart

lock_wait [writer]
  p50 ≤ 2.05 µs   p90 ≤ 2.05 µs   p99 ≤ 2.05 µs   17 observations
       1.02 µs … 2.05 µs │${'█'.repeat(40)} 17

lock_wait [reader]
  p50 ≤ 8.19 µs   p90 ≤ 32.8 µs   p99 ≤ 32.8 µs   3 observations
       4.10 µs … 8.19 µs │${'█'.repeat(40)} 2
       8.19 µs … 16.4 µs │${' '.repeat(40)} 0
       16.4 µs … 32.8 µs │${'█'.repeat(20)}${' '.repeat(20)} 1

longest_wait [writer, 4711]  304 ms
waited_for [writer]          13
waited_for [reader]          11
`,
  );
});

test('says that nothing happened', () => {
  expect(renderTrace(result(collected()), plain)).toContain(
    '\n  nothing happened that it measures\n',
  );
});

test('says what was lost', () => {
  const maps = collected('{"type": "lost_events", "data": {"events": 31}}', ...MAPS);
  maps.lost++;
  expect(renderTrace(result(maps), plain)).toContain('  32 events or lines were lost: not exact\n');
});

test('says why there is no result', () => {
  expect(renderTraceFailure('lock_sock', 'bpftrace is not installed', plain)).toBe(
    'rxscope: cannot trace lock_sock: bpftrace is not installed\n',
  );
});

describe('a bucket', () => {
  const bucketsOf = (line: string) => collected(line).result().histograms[0]?.buckets;

  test('keeps the bounds that bpftrace prints', () => {
    expect(
      bucketsOf('{"type": "hist", "data": {"@x_ns": [{"min": 64, "max": 127, "count": 5}]}}'),
    ).toEqual([{ min: 64, max: 127, count: 5 }]);
  });

  test('of 2^31 and more, for which bpftrace 0.17 prints a negative bound, is open and last', () => {
    const line =
      '{"type": "hist", "data": {"@x_ns": [{"min": -2147483648, "max": 0, "count": 3}, {"min": 1, "max": 1, "count": 2}]}}';
    expect(bucketsOf(line)).toEqual([
      { min: 1, max: 1, count: 2 },
      { min: 2 ** 31, max: null, count: 3 },
    ]);
    expect(renderTrace(result(collected(line)), plain)).toMatch(
      /p50 ≤ –.*\n.*\n( .*\n)* +2.15 s … –/,
    );
  });

  test('of negative values is open, too', () => {
    expect(bucketsOf('{"type": "hist", "data": {"@x": [{"max": -1, "count": 7}]}}')).toEqual([
      { min: null, max: -1, count: 7 },
    ]);
  });
});
