// The books of a capture: what was received, what was observed, what was not and why.

import type { Captured } from '../../src/capture/capture_once.ts';
import type { Reading } from '../../src/capture/reading.ts';
import type { Protocol } from '../../src/capture/slots.ts';
import { count } from '../../src/histogram/histogram.ts';

export interface Books {
  readonly received: number;
  readonly observed: number;
  readonly unmatched: Readonly<Record<string, number>>;
  readonly pending: number;
  /** received - observed - unmatched - pending: zero when the books balance. */
  readonly difference: number;
}

export function booksOf(
  captured: Captured,
  probe: 'softirq_to_socket' | 'receive_to_socket',
): Books {
  if (captured.reading === undefined) throw new Error('nothing was attached');
  return booksOfReading(captured.reading, probe);
}

export function booksOfReading(
  reading: Reading,
  probe: 'softirq_to_socket' | 'receive_to_socket',
): Books {
  const received = reading.received.reduce((sum, row) => sum + row.packets, 0);
  const observed = reading.latencies
    .filter((row) => row.probe === probe)
    .reduce((sum, row) => sum + count(row.histogram), 0);
  const unmatched = reading.unmatched[probe] ?? {};
  const lost = Object.values(unmatched).reduce((sum, n) => sum + n, 0);
  const pending = reading.pending;
  return {
    received,
    observed,
    unmatched,
    pending,
    difference: received - observed - lost - pending,
  };
}

/** Observations of one probe, of one protocol if it is named. */
export function observedOf(captured: Captured, probe: string, protocol?: Protocol): number {
  return (captured.reading?.latencies ?? [])
    .filter((row) => row.probe === probe && (protocol ?? row.protocol) === row.protocol)
    .reduce((sum, row) => sum + count(row.histogram), 0);
}

/** For a failing test's message. */
export function printBooks(captured: Captured): string {
  return JSON.stringify(
    {
      softirq_to_socket: booksOf(captured, 'softirq_to_socket'),
      receive_to_socket: booksOf(captured, 'receive_to_socket'),
      deliveriesWithoutStart: captured.reading?.deliveriesWithoutStart,
    },
    null,
    1,
  );
}
