// OpenMetrics 1.0.0: what it demands beyond text 0.0.4, asserted to the letter.

import { expect, test } from 'vitest';
import type { Exemplar, Snapshot } from '../../src/metrics/model.ts';
import { encodeOpenMetrics } from '../../src/metrics/openmetrics.ts';
import { processFamilies } from '../../src/metrics/process.ts';
import { parseText } from './decode.ts';
import { BUSY, EXEMPLAR, sampleOf, TYPICAL } from './snapshots.ts';

function textOf(snapshot: Snapshot): string {
  return Buffer.from(encodeOpenMetrics(snapshot)).toString();
}

function withExemplars(...exemplars: readonly Exemplar[]): string[] {
  const samples = [sampleOf(BUSY, {}, exemplars)];
  const family = { type: 'histogram', name: 'h_seconds', help: 'H.', samples } as const;
  return textOf([family])
    .split('\n')
    .filter((line) => line.includes(' # '));
}

test('ends with # EOF, once, and with nothing after it', () => {
  expect(textOf(TYPICAL).match(/^# EOF$/gm)).toHaveLength(1);
  expect(textOf(TYPICAL).endsWith('\n# EOF\n')).toBe(true);
});

test('names a counter family without _total and its samples with it', () => {
  expect(
    textOf(TYPICAL),
  ).toContain(`# HELP rxscope_received_packets Packets received.\\nBy device, \\\\ and all.
# TYPE rxscope_received_packets counter
rxscope_received_packets_total{device="eth0"} 100003
`);
});

test('states the unit that ends the name of a family, _total aside', () => {
  const { units } = parseText(encodeOpenMetrics(TYPICAL), 'openmetrics');
  expect(Object.fromEntries(units)).toEqual({
    rxscope_receive_to_socket_seconds: 'seconds',
    rxscope_cpu_seconds: 'seconds',
    rxscope_budget_seconds: 'seconds',
  });
});

test('escapes quotes in help texts', () => {
  expect(textOf(TYPICAL)).toContain('to the socket queue, \\"tail\\" included.\n');
});

test('writes an exemplar on the line of its bucket and on no other', () => {
  const lines = textOf(TYPICAL)
    .split('\n')
    .filter((line) => line.includes(' # {'));
  expect(lines).toEqual([
    'rxscope_receive_to_socket_seconds_bucket{device="eth0",protocol="udp",le="6.103515625e-05"} 1622 # {cpu="1",comm="nginx: \\"worker\\"",port="443"} 0.0000521 1700000000.123',
  ]);
});

test('keeps the newest of several exemplars of one bucket', () => {
  const older = { ...EXEMPLAR, labels: { cpu: '0' }, timestampMs: EXEMPLAR.timestampMs - 1 };
  const lines = withExemplars(older, EXEMPLAR, older);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('cpu="1"');
});

test('puts an exemplar on a bound into the bucket below it and one beyond 16 s into +Inf', () => {
  const lines = withExemplars(
    { labels: {}, value: 0.5, timestampMs: 1 },
    { labels: {}, value: 17, timestampMs: 2 },
    { labels: {}, value: Number.NaN, timestampMs: 3 },
  );
  expect(lines).toEqual([
    'h_seconds_bucket{le="0.5"} 1634 # {} 0.5 0.001',
    'h_seconds_bucket{le="+Inf"} 1634 # {} 17 0.002',
  ]);
});

test.each([
  ['keeps labels of exactly 128 characters', { a: 'x'.repeat(63), b: 'y'.repeat(63) }, ['a', 'b']],
  ['drops the last label at 129 characters', { a: 'x'.repeat(63), b: 'y'.repeat(64) }, ['a']],
  ['drops all from the first that does not fit', { a: 'x'.repeat(128), b: 'y' }, []],
  [
    'counts characters, not bytes or UTF-16 units',
    { a: '😀'.repeat(63), b: 'é'.repeat(63) },
    ['a', 'b'],
  ],
])('%s in an exemplar', (_, labels, kept) => {
  const [line = ''] = withExemplars({ labels, value: 1, timestampMs: 1 });
  const names = [...line.replace(/^.* # /, '').matchAll(/(\w+)="/g)].map(([, name]) => name);
  expect(names).toEqual(kept);
});

test('the process metrics are valid OpenMetrics, their counters ending in _total', async () => {
  const families = await processFamilies();
  const { types, series } = parseText(encodeOpenMetrics(families), 'openmetrics');
  expect(types.get('process_cpu_seconds')).toBe('counter');
  expect([...series.keys()]).toContain('["process_cpu_seconds_total",[]]');
});
