// What `rxscope record` and `rxscope probes` print, from data made up for it.

import pc from 'picocolors';
import { describe, expect, test } from 'vitest';
import { renderProbes } from '../../src/commands/probes/render.ts';
import {
  type ProbeRecord,
  type RecordResult,
  renderRecord,
} from '../../src/commands/record/render.ts';
import { BUCKETS, bucketOf } from '../../src/histogram/bounds.ts';
import { formatSeconds } from '../../src/terminal/draw.ts';

const plain = pc.createColors(false);
const colored = pc.createColors(true);

describe('formatSeconds has three digits and the unit that fits', () => {
  test.each([
    [0, '0 ns'],
    [1e-9, '1.00 ns'],
    [59.6e-9, '59.6 ns'],
    [881e-9, '881 ns'],
    [999.4e-9, '999 ns'],
    // Rounds up to the next unit rather than to 1000.
    [999.6e-9, '1.00 µs'],
    [1.234e-6, '1.23 µs'],
    [9.994e-6, '9.99 µs'],
    [9.996e-6, '10.0 µs'],
    [99.94e-6, '99.9 µs'],
    [99.96e-6, '100 µs'],
    [123.4e-6, '123 µs'],
    [1.5e-3, '1.50 ms'],
    [0.25, '250 ms'],
    [1, '1.00 s'],
    [16, '16.0 s'],
    [Number.NaN, '–'],
    [Infinity, '–'],
  ])('%d s is %s', (seconds, text) => {
    expect(formatSeconds(seconds)).toBe(text);
  });
});

/** A record with one observation for each of these latencies, in nanoseconds. */
function recordOf(
  latencies_ns: readonly number[],
  changes: Partial<ProbeRecord> = {},
): ProbeRecord {
  const buckets = new Array<number>(BUCKETS).fill(0);
  for (const ns of latencies_ns) {
    const bucket = bucketOf(ns) ?? -1;
    buckets[bucket] = (buckets[bucket] ?? 0) + 1;
  }
  return {
    id: 'receive_to_socket',
    up: true,
    reason: '',
    count: latencies_ns.length,
    sum_seconds: latencies_ns.reduce((sum, ns) => sum + ns, 0) / 1e9,
    over_budget: 0,
    quantiles_seconds: { 0.5: 1e-6, 0.9: 2e-6, 0.99: 3e-6, 0.999: 4e-6 },
    buckets,
    unmatched: {},
    ...changes,
  };
}

function rendered(record: ProbeRecord, changes: Partial<RecordResult> = {}): string {
  const result = { seconds: 10, exact: false, received: 1009, pending: 0, probes: [record] };
  return renderRecord({ ...result, ...changes }, plain);
}

describe('a record', () => {
  test('has no byte of others that controls the terminal', () => {
    const part = { count: 2, p50_seconds: 1e-6, p99_seconds: 1e-6 };
    const text = rendered(
      recordOf([1000, 1000], {
        reason: 'refused \x1b[2J\x07',
        parts: [
          { labels: { device: '\x1b]0;x\x07' }, ...part },
          { labels: { device: 'a\nb\u009b' }, ...part },
        ],
      }),
      { drops: { 'WHY\x1b': 1 } },
    );
    expect(text).not.toMatch(/[^\P{Cc}\n]/u);
    expect(text).toContain('\\x1b]0;x\\x07');
    expect(text).toContain('a\\x0ab\\xc2\\x9b');
  });

  test('is a summary, quantiles and a histogram with a line for each power of two', () => {
    // Three in (954 ns, 1.91 µs], none in the next two, one in (7.63 µs, 15.3 µs].
    const record = recordOf([1000, 1500, 1900, 9000], { over_budget: 1, unmatched: { clock: 0 } });
    const bar = (length: number) => '█'.repeat(length).padEnd(40);
    expect(rendered(record)).toBe(`1009 packets received in 10.0 s; quantiles within 9.1 %

receive_to_socket
  p50 1.00 µs   p90 2.00 µs   p99 3.00 µs   p99.9 4.00 µs   mean 3.35 µs
  4 observations, 1 over budget
        954 ns … 1.91 µs │${bar(40)} 3
       1.91 µs … 3.81 µs │${bar(0)} 0
       3.81 µs … 7.63 µs │${bar(0)} 0
       7.63 µs … 15.3 µs │${bar(13)} 1
`);
  });

  test('puts a latency that is a bound exactly below it', () => {
    // 2^-9 s is a whole number of nanoseconds, and the bounds are upper-inclusive.
    const text = rendered(recordOf([1_953_125, 1_953_126]));
    expect(text).toMatch(/977 µs … 1\.95 ms │█+ 1\n/);
    expect(text).toMatch(/1\.95 ms … 3\.91 ms │█+ 1\n/);
  });

  test('shows the lowest and the highest bucket', () => {
    const text = rendered(recordOf([0, 16e9]));
    expect(text).toMatch(/ 0 ns … 59\.6 ns │█{40} 1\n/);
    expect(text).toMatch(/ 8\.00 s … 16\.0 s │█{40} 1\n$/);
  });

  test('marks a bucket with one observation beside a million', () => {
    const record = recordOf([1000, 5000]);
    const buckets = record.buckets.with(bucketOf(1000) ?? -1, 1_000_003);
    expect(rendered({ ...record, buckets })).toMatch(/3\.81 µs … 7\.63 µs │█ {39} 1\n/);
  });

  test('without an observation has no histogram', () => {
    const text = rendered(recordOf([], { unmatched: { dropped: 7, clock: 0, no_socket: 2 } }));
    expect(text).toContain('  no observation\n  unmatched: dropped 7, no_socket 2\n');
    expect(text).not.toMatch(/│|NaN/);
  });

  test('in exact mode names the longest, and what was lost on the way', () => {
    const record = recordOf([1000], { max_seconds: 5e-3, observations_lost: 13 });
    const text = rendered(record, { exact: true });
    expect(text).toContain('; quantiles from every observation\n');
    expect(text).toContain('p99.9 4.00 µs   max 5.00 ms   mean 1.00 µs');
    expect(text).toContain('  13 observations were lost on the way: not exact\n');
    expect(rendered({ ...record, observations_lost: 0 })).not.toContain('lost');
  });

  test('names each label set where there are several, and drops by reason', () => {
    const parts = [
      { labels: { device: 'eth0', protocol: 'udp' }, count: 1009 },
      { labels: { device: '', protocol: 'other' }, count: 7 },
      { labels: { device: '', protocol: '' }, count: 1 },
    ].map((part) => ({ ...part, p50_seconds: 1e-6, p99_seconds: 2.5e-3 }));
    const record = recordOf([1000], { parts });
    const text = rendered(record, { drops: { NO_SOCKET: 13, SOCKET_RCVBUFF: 2 } });
    expect(text).toContain(
      'quantiles within 9.1 %\ndropped on the receive path: NO_SOCKET 13, SOCKET_RCVBUFF 2\n\nreceive',
    );
    expect(text.split('\n').slice(-4)).toEqual([
      '  eth0 udp  p50 1.00 µs   p99 2.50 ms   1009',
      '  other     p50 1.00 µs   p99 2.50 ms   7',
      '  (none)    p50 1.00 µs   p99 2.50 ms   1',
      '',
    ]);
  });

  test('says nothing of a single label set, nor of drops where there are none', () => {
    const parts = [{ labels: { vector: 'NET_RX' }, count: 7, p50_seconds: 1, p99_seconds: 1 }];
    const text = rendered(recordOf([1000], { parts }), { drops: {} });
    expect(text).not.toContain('NET_RX');
    expect(text).not.toContain('dropped');
  });

  test('of a probe that is not up is its reason', () => {
    const reason = 'EPERM: BPF is not permitted here';
    const text = rendered(recordOf([], { up: false, reason }));
    expect(text).toMatch(/\nreceive_to_socket\n {2}not up: EPERM: BPF is not permitted here\n$/);
  });

  test('with less detail says what is missing, and the numbers all the same', () => {
    const text = rendered(recordOf([1000], { reason: 'measures with less detail: no drops' }));
    expect(text).toContain('\n  measures with less detail: no drops\n  p50 ');
  });

  test('has the same text in colours', () => {
    const result = { seconds: 1, exact: false, received: 1, pending: 0, probes: [recordOf([1])] };
    const text = renderRecord(result, colored);
    expect(text).toContain(`${colored.bold('receive_to_socket')}\n`);
    expect(text.split(String.fromCharCode(27)).length).toBeGreaterThan(3);
  });
});

test('the list of probes has each program with its rung and the refusals above it', () => {
  const text = renderProbes(
    [
      {
        id: 'irq_to_softirq',
        up: true,
        reason: '',
        programs: [
          {
            hook: 'softirq_entry',
            program: 'softirq_entry__raw_tp',
            attach: 'raw_tp',
            target: 'softirq_entry',
            refusals: ['tp_btf/softirq_entry: EPERM: not permitted'],
          },
          { hook: 'drop', refusals: [] },
        ],
      },
      { id: 'receive_to_socket', up: false, reason: 'no permission', programs: [] },
      { id: 'napi_poll', up: false, off: true, reason: 'switched off', programs: [] },
    ],
    plain,
  );
  expect(text).toBe(`irq_to_softirq  up
  softirq_entry  raw_tp/softirq_entry
                 not tp_btf/softirq_entry: EPERM: not permitted
  drop           –

receive_to_socket  not up: no permission

napi_poll  off: switched off
`);
});
