// What must hold of packets that reach their socket past the NET_RX softirq: polled by a NAPI thread,
// or by the receiver itself. Throws where it does not; matrix.test.ts says in which test.

import { expect } from 'vitest';
import { booksOf, observedOf, printBooks } from '../kernel/books.ts';
import { type KernelRun, NAPI_DATAGRAMS, type NapiLine } from './kernel_run.ts';
import { checkBalance } from './rung_checks.ts';

/** The causes that the phases are about: packets of each, and what is left for the softirq. */
export function checkPhase(run: KernelRun, phase: NapiLine['phase']): void {
  const line = run.napi.find((one) => one.phase === phase);
  if (line === undefined) throw new Error(`the kernel reported nothing of ${phase}`);
  const { captured, received } = line;
  expect(received).toBe(NAPI_DATAGRAMS);
  checkBalance(captured);
  const seen = received - run.unseenIn(phase);
  expect(observedOf(captured, 'receive_to_socket', 'udp'), printBooks(captured)).toBe(seen);
  const { unmatched } = booksOf(captured, 'softirq_to_socket');
  const { threaded_napi = 0, busy_poll = 0, attached_midway = 0 } = unmatched;
  const inSoftirq = observedOf(captured, 'softirq_to_socket', 'udp');
  const books = { threaded_napi, busy_poll, attached_midway, inSoftirq };
  if (phase === 'softirq') expect(books).toEqual(none({ inSoftirq: seen }));
  if (phase === 'threaded') expect(books).toEqual(none({ threaded_napi: seen }));
  if (phase !== 'busy_poll') return;
  // The receiver polls when it has time to; what comes otherwise takes the usual way.
  expect(books).toEqual(none({ busy_poll, inSoftirq: seen - busy_poll }));
  expect(busy_poll).toBeGreaterThan(received / 20);
}

function none(but: Readonly<Record<string, number>>) {
  return { threaded_napi: 0, busy_poll: 0, attached_midway: 0, inSoftirq: 0, ...but };
}
