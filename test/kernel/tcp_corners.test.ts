// TCP data of which a socket is told late, or before it exists: neither may become a sample that it is not.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Captured, captureOnce } from '../../src/capture/capture_once.ts';
import { forceRung, HOOKS } from '../../src/capture/hooks.ts';
import { PROTOCOLS } from '../../src/capture/slots.ts';
import { booksOf, printBooks } from './books.ts';
import { Lab } from './lab.ts';
import { captureAll } from './options.ts';

/** How long data wait below the mark, and what no sample of them may reach. */
const WAIT_MS = 1100;
const LATE_NS = (WAIT_MS * 1e6) / 2;
/** Client and server, and no cookie is asked for (net.ipv4.tcp_fastopen). */
const FAST_OPEN = 0x607;

let lab: Lab;
let program: string;
beforeAll(() => {
  lab = new Lab();
  program = lab.build('tcp_corners');
  const sysctl = '/proc/sys/net/ipv4/tcp_fastopen';
  lab.exec(lab.receiver, 'sh', '-c', `echo ${FAST_OPEN} > ${sysctl}`);
});
afterAll(() => lab?.close());

describe.each(['tp_btf', 'raw_tp'] as const)('on %s', (rung) => {
  const measured = (...words: string[]): Promise<{ told: number; captured: Captured }> => {
    let told = 0;
    const options = captureAll({ hooks: forceRung(HOOKS, rung), exact: true, pagesPerCpu: 64 });
    return captureOnce(options, async () => {
      const output = lab.exec(lab.receiver, program, ...words);
      told = (JSON.parse(output) as { told: number }).told;
    }).then((captured) => ({ told, captured }));
  };

  test('data below the low-water mark are no sample when the mark is lowered', async () => {
    const n = 41;
    const { told, captured } = await measured('low-mark', `${n}`, `${WAIT_MS}`);
    expect(told).toBe(n);
    const late = captured.observations.filter(
      ({ probe, protocol, latencyNs }) =>
        probe === 'receive_to_socket' && PROTOCOLS[protocol] === 'tcp' && latencyNs > LATE_NS,
    );
    expect(late, printBooks(captured)).toEqual([]);
    for (const probe of ['softirq_to_socket', 'receive_to_socket'] as const)
      expect(booksOf(captured, probe).difference, printBooks(captured)).toBe(0);
  });

  test('data that come with a SYN are counted as such', async () => {
    const n = 199;
    const { told, captured } = await measured('fast-open', `${n}`);
    expect(told).toBe(n);
    const { unmatched, difference } = booksOf(captured, 'receive_to_socket');
    expect(unmatched.syn_data, printBooks(captured)).toBe(n);
    expect(difference, printBooks(captured)).toBe(0);
  });
});
