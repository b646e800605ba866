// Puts the HTTP server together: its limits, its plain-text errors, its end. One file a route is
// in routes/. Does not listen (listen.ts), and knows the agent only as a ServeSource.

import type { AddressInfo } from 'node:net';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import type { Access } from './access.ts';
import { Connections } from './connections.ts';
import { answerClientError } from './every_answer.ts';
import { foreignRequest, isLoopback } from './foreign_request.ts';
import { httpServer } from './http_server.ts';
import { connectionsMax, openFilesMax } from './limits.ts';
import { PATHS } from './paths.ts';
import { apiRoutes } from './routes/api.ts';
import { healthRoutes } from './routes/health.ts';
import { landingRoute } from './routes/landing.ts';
import { metricsRoute } from './routes/metrics.ts';
import type { ServeSource } from './source.ts';

export interface AppOptions {
  /** The most scrapes in flight; the next one gets a 503. `web.requests_in_flight_max`. */
  readonly requestsInFlightMax: number;
  readonly logger?: FastifyBaseLogger | false;
  /** TLS, users and headers; without it everybody may ask, in the clear. */
  readonly access?: Access | undefined;
}

export function buildApp(source: ServeSource, options: AppOptions): FastifyInstance {
  const connections = new Connections(connectionsMax(options.requestsInFlightMax, openFilesMax()));
  const { access } = options;
  const app = Fastify({
    ...(options.logger ? { loggerInstance: options.logger } : {}),
    // A line a request is for debugging only; see the onResponse hook below.
    logController: new LogController({ disableRequestLogging: true }),
    // No route has a schema: without these, fastify would load what compiles them.
    schemaController: {
      compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas },
    },
    serverFactory: (handler) => httpServer(handler, connections, access?.httpsOptions()),
    bodyLimit: 1024,
    forceCloseConnections: 'idle',
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => {
      // No hook runs for a path that cannot be parsed.
      admits(request, reply).then(
        (yes) => yes && answerError(error, request, reply),
        (why: FastifyError) => answerError(why, request, reply),
      );
      connections.handedOver(reply.raw, 0);
    },
  });
  let loopbackOnly: boolean | undefined;
  /** False when the request must not go on: then it has been answered. */
  const admits = async (request: FastifyRequest, reply: FastifyReply): Promise<boolean> => {
    access?.addHeaders(reply);
    loopbackOnly ??= isLoopback((app.server.address() as AddressInfo | null)?.address ?? '');
    const foreign = foreignRequest(request.raw, loopbackOnly);
    if (foreign !== undefined) {
      reply.code(foreign.status).type(TEXT).send(foreign.why);
      return false;
    }
    return access === undefined || access.admits(request, reply);
  };
  endWithin(app, connections);
  // Before any route is there.
  app.addHook('onRequest', async (request, reply) => {
    if (!(await admits(request, reply))) return reply;
  });
  app.addHook('onSend', async (_request, reply, payload) => {
    connections.handedOver(reply.raw, bytesOf(payload));
  });

  // No route reads a body: one that is sent anyway is neither parsed nor a reason to answer 415.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));

  access?.protect(app);
  app.addHook('onResponse', async (request, reply) => {
    const { method, url } = request;
    const durationMs = Math.round(reply.elapsedTime * 1000) / 1000;
    request.log.debug({ method, url, status: reply.statusCode, durationMs }, 'answered');
  });
  app.setErrorHandler(answerError);
  app.setNotFoundHandler(answerUnknown);

  const { requestsInFlightMax } = options;
  app.register(metricsRoute(source, { requestsInFlightMax, drainMs: DRAIN_MS }));
  app.register(healthRoutes(source));
  app.register(landingRoute(source));
  app.register(apiRoutes(source));
  return app;
}

function noSchemas(): never {
  throw new Error('no route has a schema');
}

// The agent's end takes at most 2 s in all: scrapes may still wait for 1 s, their answers are sent
// in the next 0.5 s, and the rest is for detaching the probes.
const DRAIN_MS = 1_000;
const CLOSE_ALL_MS = 1_500;

/** Makes `app.close()` answer what is in flight and yet end soon, whatever the clients do. */
function endWithin(app: FastifyInstance, connections: Connections): void {
  let closing = false;
  app.addHook('preClose', async () => {
    closing = true;
    // For connections that are neither idle nor answered: half a request, no request at all, or a
    // TLS handshake that is not done, which the HTTP server does not know of.
    const closeAll = setTimeout(() => connections.closeAll(), CLOSE_ALL_MS);
    closeAll.unref();
    app.server.once('close', () => clearTimeout(closeAll));
  });
  app.addHook('onSend', async (_request, reply) => {
    // Else the connection stays open after the answer, and the server with it.
    if (closing) reply.header('connection', 'close');
  });
}

/** No route streams. */
function bytesOf(payload: unknown): number {
  return typeof payload === 'string' || Buffer.isBuffer(payload) ? Buffer.byteLength(payload) : 0;
}

function answerUnknown(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const [path = ''] = request.url.split('?', 1);
  if (PATHS.some((known) => known.path === path)) {
    return reply
      .code(405)
      .header('allow', 'GET, HEAD')
      .send(`${request.method} ${path} is not allowed; use GET or HEAD.\n`);
  }
  const width = Math.max(...PATHS.map((known) => known.path.length));
  const list = PATHS.map((known) => `  ${known.path.padEnd(width)}  ${known.what}\n`).join('');
  return reply.code(404).send(`There is nothing at ${shortened(path)}. Known paths:\n${list}`);
}

function answerError(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const status = error.statusCode ?? 500;
  if (status < 500) return reply.code(status).type(TEXT).send(`${error.message}\n`);
  request.log.error({ err: error, method: request.method, url: request.url }, 'cannot answer');
  return reply
    .code(status)
    .type(TEXT)
    .send(
      `Cannot answer ${request.method} ${shortened(request.url)}: ${error.message}\n` +
        'This is a fault of rxscope, not of the request; its log has the details.\n',
    );
}

const TEXT = 'text/plain; charset=utf-8';

/** A path can be as long as all headers together. */
function shortened(path: string): string {
  const charactersMax = 200;
  return path.length > charactersMax ? `${path.slice(0, charactersMax)}…` : path;
}
