// What anybody on the network can take of the agent, at most: the bounds that the tests hold it to and
// deploy/README.md states. connections.ts keeps them.

import { readFileSync } from 'node:fs';

/** Of one connection, not answered to the last byte; one more ends it. Scrapers send one at a time. */
export const REQUESTS_PER_CONNECTION_MAX = 8;

/** From the connection, or from a request's first byte, to the end of its headers. */
export const RECEIVE_MS_MAX = 5_000;

/** From an answer's first byte to its last: who does not read is cut off. Prometheus gives up as early. */
export const SEND_MS_MAX = 10_000;

/** Of all connections together, in answers that are not sent yet and the requests behind them. */
export const UNSENT_BYTES_MAX = 32 * 1024 * 1024;

/** Prometheus sends about 500 bytes; Node's own default is twice as much as this. */
export const HEADERS_BYTES_MAX = 8 * 1024;

/** More would be somebody who does not mean well; one more ends another, see connections.ts. */
const CONNECTIONS_MAX = 1_024;

/**
 * `filesMax`: how many descriptors the process may have. Half of them are left for what it measures, so that
 * connections never keep it from reading a file.
 */
export function connectionsMax(requestsInFlightMax: number, filesMax: number): number {
  const wanted = Math.max(CONNECTIONS_MAX, 4 * requestsInFlightMax);
  return Math.max(FEW_CONNECTIONS, Math.min(wanted, Math.floor(filesMax / 2)));
}

/** Enough for scrapers and a health check, however few descriptors there are. */
const FEW_CONNECTIONS = 16;

/** Of this process, as the kernel has it; Node has raised it as far as it may at its start. */
export function openFilesMax(): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8');
    return Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? FILES_MAX_USUAL);
  } catch {
    return FILES_MAX_USUAL;
  }
}

const FILES_MAX_USUAL = 1_024;
