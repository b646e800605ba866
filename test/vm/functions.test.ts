// Packets on their way to a socket that are not the usual ones: in fragments, behind IPv6 options, for a raw
// socket, and TCP data ahead of a gap, which only hooks on the functions of the kernel tell. All ways of
// measuring see the same packets, and the books of each balance.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Captured } from '../../src/capture/capture_once.ts';
import { type Attach, forceRung, HOOKS } from '../../src/capture/hooks.ts';
import { booksOf, observedOf, printBooks } from '../kernel/books.ts';
import { captureAll } from '../kernel/options.ts';
import { capturedOf, GUEST_TIMEOUT_MS, runInGuest } from './guest.ts';

const SERIES = '6.12-cloud';
const RUNGS: readonly Attach[] = ['fentry', 'kprobe', 'tp_btf'];
const COUNT = 211;
const STREAM = 701;

interface Line {
  readonly rung: Attach;
  readonly phase: string;
  /** What the application read. */
  readonly received: number;
  /** By the kernel's count (TcpExt TCPOFOQueue). */
  readonly outOfOrder: number;
  readonly captured: Captured;
}

// On the root file system, the only one that a guest sees.
const folder = mkdtempSync('/var/tmp/rxscope-functions-');
let lines: Line[] = [];

beforeAll(async () => {
  const source = fileURLToPath(new URL('../kernel/traffic/traffic.cc', import.meta.url));
  const traffic = join(folder, 'traffic');
  execFileSync('g++', ['-O2', '-std=c++20', '-Wall', '-Werror', '-o', traffic, source]);
  const rungs = RUNGS.map((rung) => ({
    rung,
    options: captureAll({ hooks: forceRung(HOOKS, rung) }),
  }));
  const args = [traffic, `${COUNT}`, `${STREAM}`, JSON.stringify(rungs)];
  const reported = await runInGuest({ series: SERIES, script: 'functions_guest.mjs', args });
  lines = reported.map((line) => ({ ...line, captured: capturedOf(line) }) as unknown as Line);
}, GUEST_TIMEOUT_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function lineOf(phase: string, rung: Attach): Line {
  const line = lines.find((one) => one.phase === phase && one.rung === rung);
  if (line === undefined) throw new Error(`the guest did not report ${phase} on ${rung}`);
  return line;
}

function causeOf({ captured }: Line, cause: string): number | undefined {
  return captured.reading?.unmatched.receive_to_socket?.[cause];
}

describe.each(RUNGS)('on %s', (rung) => {
  test.each(['fragments', 'ipv6 options', 'segments behind ipv6 options', 'raw', 'out of order'])(
    'the books balance: %s',
    (phase) => {
      const { captured } = lineOf(phase, rung);
      for (const probe of ['softirq_to_socket', 'receive_to_socket'] as const) {
        const { difference } = booksOf(captured, probe);
        expect(difference, printBooks(captured)).toBe(0);
      }
    },
  );

  test('a raw socket’s packets are observed', () => {
    const line = lineOf('raw', rung);
    expect(line.received).toBe(COUNT);
    const observed = observedOf(line.captured, 'receive_to_socket', 'other');
    expect(observed, printBooks(line.captured)).toBe(COUNT);
  });
});

describe.each(RUNGS)('on %s', (rung) => {
  test('a datagram that came in three fragments is observed with its last', () => {
    const line = lineOf('fragments', rung);
    expect(line.received).toBe(COUNT);
    const observed = observedOf(line.captured, 'receive_to_socket', 'udp');
    expect(observed, printBooks(line.captured)).toBe(COUNT);
    expect(causeOf(line, 'fragment')).toBe(2 * COUNT);
  });

  test('a datagram behind IPv6 options is observed', () => {
    const line = lineOf('ipv6 options', rung);
    expect(line.received).toBe(COUNT);
    const observed = observedOf(line.captured, 'receive_to_socket', 'udp');
    expect(observed, printBooks(line.captured)).toBe(COUNT);
  });
});

describe.each(RUNGS)('on %s', (rung) => {
  test('TCP segments behind IPv6 options are observed', () => {
    const { captured } = lineOf('segments behind ipv6 options', rung);
    const observed = observedOf(captured, 'receive_to_socket', 'tcp');
    // One for each message, and for the end of the stream: of itself, and again where the reader asks once more.
    expect(observed, printBooks(captured)).toBeGreaterThanOrEqual(COUNT);
    expect(observed, printBooks(captured)).toBeLessThanOrEqual(COUNT + 2);
  });
});

describe.each(['fentry', 'kprobe'] as const)('on %s', (rung) => {
  test('TCP data ahead of a gap is counted as the kernel counts it', () => {
    const line = lineOf('out of order', rung);
    expect(line.outOfOrder).toBeGreaterThan(0);
    expect(causeOf(line, 'out_of_order'), printBooks(line.captured)).toBe(line.outOfOrder);
  });
});

describe('with tracepoints alone', () => {
  test('TCP data ahead of a gap are told from others by nobody, and not measured', () => {
    const reordered = lineOf('out of order', 'tp_btf');
    expect(causeOf(reordered, 'out_of_order')).toBe(0);
    expect(causeOf(reordered, 'tcp_not_ready')).toBeGreaterThan(0);
  });
});
