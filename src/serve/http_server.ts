// The server of node:http or node:https, with the bounds on what comes in. Each request, also one that
// expects something, comes through one gate before anything is made for it.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions as TlsOptions } from 'node:https';
import type { Connections } from './connections.ts';
import { SafeResponse } from './every_answer.ts';
import { HEADERS_BYTES_MAX, RECEIVE_MS_MAX } from './limits.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** `tls` undefined: plain HTTP. */
export function httpServer(
  handler: Handler,
  connections: Connections,
  tls: TlsOptions | undefined,
): Server {
  const options = {
    maxHeaderSize: HEADERS_BYTES_MAX,
    ServerResponse: SafeResponse,
    // Node looks each half minute only; connections.ts is earlier. Headers that come behind the last request
    // in one piece, and no further, are left to this.
    headersTimeout: RECEIVE_MS_MAX,
    // From the first byte of a request to its last; scrapers send a few hundred bytes.
    requestTimeout: 2 * RECEIVE_MS_MAX,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // Said in foreign_request.ts: an answer of Node's own would come past the gate.
    requireHostHeader: false,
  };
  const server =
    tls === undefined ? createServer(options) : createTlsServer({ ...options, ...tls });
  server.on('request', (request, response) => {
    if (connections.admits(request, response)) handler(request, response);
  });
  // Nobody is told to go on: no body is read, so the answer can come before it.
  server.on('checkContinue', (request, response) => {
    if (connections.admits(request, response)) handler(request, response);
  });
  server.on('checkExpectation', (request, response) => {
    if (!connections.admits(request, response)) return;
    connections.handedOver(response, 0);
    response.writeHead(417).end();
  });
  connections.watch(server, tls !== undefined);
  return server;
}

/** Longer than the usual minute between scrapes, which so go over one connection. */
const KEEP_ALIVE_MS = 72_000;
