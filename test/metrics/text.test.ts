// Text 0.0.4: exact output, and what the real promtool says to it.

import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteWriter } from '../../src/metrics/byte_writer.ts';
import { formatBound, formatValue } from '../../src/metrics/exposition.ts';
import type { Snapshot } from '../../src/metrics/model.ts';
import { processFamilies } from '../../src/metrics/process.ts';
import { encodeText } from '../../src/metrics/text.ts';
import { prometheusVersions } from './prometheus_versions.ts';
import { TYPICAL } from './snapshots.ts';

function textOf(snapshot: Snapshot): string {
  return Buffer.from(encodeText(snapshot)).toString();
}

test.each(prometheusVersions())(
  'promtool of $name finds nothing to complain about in a typical scrape with process metrics',
  async ({ promtool }) => {
    const input = encodeText([...TYPICAL, ...(await processFamilies())]);
    const said = spawnSync(promtool, ['check', 'metrics'], { input, encoding: 'utf8' });
    expect([said.stdout, said.stderr, said.status]).toEqual(['', '', 0]);
  },
);

test('writes counters and gauges with exact integers and escaped labels and help', () => {
  expect(
    textOf(TYPICAL),
  ).toContain(`# HELP rxscope_received_packets_total Packets received.\\nBy device, \\\\ and all.
# TYPE rxscope_received_packets_total counter
rxscope_received_packets_total{device="eth0"} 100003
rxscope_received_packets_total{device="big"} 9007199254740992
# HELP rxscope_cpu_seconds_total CPU time.
# TYPE rxscope_cpu_seconds_total counter
rxscope_cpu_seconds_total{cpu="0",mode="softirq"} 12.25
# HELP rxscope_budget_seconds Budget.
# TYPE rxscope_budget_seconds gauge
rxscope_budget_seconds{probe="irq_to_softirq"} 0.0001
# HELP rxscope_strange Values that need care.
# TYPE rxscope_strange gauge
rxscope_strange{is="nan"} NaN
rxscope_strange{is="inf"} +Inf
rxscope_strange{is="neg"} -Inf
rxscope_strange -1.5
`);
});

test('leaves quotes in help texts alone and escapes them in label values', () => {
  const text = textOf(TYPICAL);
  expect(text).toContain('to the socket queue, "tail" included.\n');
  expect(text).toContain(
    'rxscope_receive_to_socket_seconds_bucket{device="wlan\\\\0\\n\\"",protocol="tcp",le="1.0"} 0\n',
  );
});

test('cumulates buckets up to +Inf and ends a histogram with sum and count', () => {
  const lines = textOf(TYPICAL)
    .split('\n')
    .filter((line) => line.includes('device="eth0",protocol="udp"'));
  const name = 'rxscope_receive_to_socket_seconds';
  const labels = 'device="eth0",protocol="udp"';
  expect(lines).toHaveLength(32);
  expect(lines[0]).toBe(`${name}_bucket{${labels},le="5.960464477539063e-08"} 2`);
  // 2 + 1009 + 503 + 101: buckets 57 to 64 end at 2^-16 s.
  expect(lines[8]).toBe(`${name}_bucket{${labels},le="1.52587890625e-05"} 1615`);
  expect(lines.slice(-3)).toEqual([
    `${name}_bucket{${labels},le="+Inf"} 1634`,
    `${name}_sum{${labels}} 2.017282478`,
    `${name}_count{${labels}} 1634`,
  ]);
});

test('says nothing of a family without samples', () => {
  expect(textOf(TYPICAL)).not.toContain('rxscope_absent');
});

describe('numbers', () => {
  test.each([
    [0.1, '0.1'],
    [1, '1.0'],
    [16, '16.0'],
    [0, '0.0'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [2 ** -24, '5.960464477539063e-08'],
    [2.5e-120, '2.5e-120'],
    [123_456, '123456.0'],
    [1_000_000, '1e+06'],
    [1.5e10, '1.5e+10'],
    [Infinity, '+Inf'],
  ])('the bound %d is written as %s', (bound, text) => {
    expect(formatBound(bound)).toBe(text);
  });

  test('every finite value reads back as itself', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(Number(formatValue(value)) + 0).toBe(value + 0);
        expect(Number(formatBound(value)) + 0).toBe(value + 0);
      }),
    );
  });

  test('the byte writer writes integers of any size as String does', () => {
    const any = fc.oneof(fc.nat({ max: 1009 }), fc.integer(), fc.maxSafeInteger(), fc.double());
    fc.assert(
      fc.property(any, (value) => {
        const out = new ByteWriter();
        out.integer(value);
        expect(Buffer.from(out.finish()).toString()).toBe(String(value));
      }),
    );
  });

  test('the byte writer keeps what it has when it grows', () => {
    const out = new ByteWriter();
    let expected = '';
    for (let i = 0; i < 10_007; i++) {
      const start = out.length;
      out.text(`é${i}𠀀`);
      out.again(start, out.length - start);
      expected += `é${i}𠀀`.repeat(2);
    }
    expect(Buffer.from(out.finish()).toString()).toBe(expected);
  });
});
