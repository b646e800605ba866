// GET /metrics: one gather feeds the format that the scraper asks for, gzipped if it likes.
// Concurrent scrapes share a gather; too many of them, or one past its deadline, get a 503.

import type { FastifyInstance, FastifyReply } from 'fastify';
import { encoderFor } from '../../metrics/negotiate.ts';
import { acceptsGzip, scrapeDeadlineMs } from '../request_headers.ts';
import { sharedBodies } from '../shared_bodies.ts';
import type { ServeSource } from '../source.ts';

export interface MetricsOptions {
  /** The most scrapes that may wait for their metrics; the next one gets a 503 at once. */
  readonly requestsInFlightMax: number;
  /** How long scrapes in flight may still wait once the server closes. */
  readonly drainMs: number;
}

export function metricsRoute(source: ServeSource, options: MetricsOptions) {
  return async (app: FastifyInstance): Promise<void> => {
    const inFlight = new Set<AbortController>();

    app.addHook('preClose', async () => {
      const drain = setTimeout(() => {
        for (const scrape of inFlight) scrape.abort(new Unavailable(SHUTTING_DOWN));
      }, options.drainMs);
      drain.unref();
    });

    app.get('/metrics', async (request, reply) => {
      if (inFlight.size >= options.requestsInFlightMax) {
        return unavailable(reply.header('retry-after', '1'), capText(options.requestsInFlightMax));
      }
      const scrape = new AbortController();
      const deadlineMs = scrapeDeadlineMs(request.headers['x-prometheus-scrape-timeout-seconds']);
      const deadline = setTimeout(
        () => scrape.abort(new Unavailable(deadlineText(deadlineMs))),
        deadlineMs,
      );
      inFlight.add(scrape);
      const release = (): void => {
        clearTimeout(deadline);
        inFlight.delete(scrape);
      };
      // Also comes after the last byte, when nothing is left to abort.
      reply.raw.once('close', () => {
        release();
        scrape.abort(new Unavailable(HUNG_UP));
      });

      const encoder = encoderFor(request.headers.accept);
      const zipped = acceptsGzip(request.headers['accept-encoding']);
      let body: Buffer;
      try {
        const bodies = sharedBodies(await source.gather(scrape.signal));
        body = await (zipped ? bodies.gzipped(encoder) : bodies.plain(encoder));
      } catch (error) {
        if (error instanceof Unavailable) return unavailable(reply, error.message);
        throw error;
      } finally {
        // Who does not read what is handed over keeps no place: connections.ts ends that.
        release();
      }
      reply.header('content-type', encoder.contentType).header('vary', 'Accept, Accept-Encoding');
      if (zipped) reply.header('content-encoding', 'gzip');
      return reply.send(body);
    });
  };
}

/** Why a scrape stopped waiting: the reason with which its signal aborts. */
class Unavailable extends Error {}

function unavailable(reply: FastifyReply, text: string): FastifyReply {
  return reply.code(503).send(text);
}

const SHUTTING_DOWN = 'rxscope is shutting down, and this gather did not finish in time.\n';
/** Nobody reads it. */
const HUNG_UP = 'The scraper hung up.\n';

function deadlineText(deadlineMs: number): string {
  return (
    `No metrics within ${deadlineMs / 1000} s: the gather was still running at the deadline.\n` +
    'The deadline is X-Prometheus-Scrape-Timeout-Seconds less 0.5 s, or 10 s without that header.\n' +
    'Raise scrape_timeout in Prometheus; rxscope_collector_duration_seconds names the slow part.\n'
  );
}

function capText(requestsInFlightMax: number): string {
  return (
    `${requestsInFlightMax} scrapes are in flight already, which is the cap.\n` +
    'It keeps scrapes that pile up from taking the machine they measure.\n' +
    'Scrape less often, or raise web.requests_in_flight_max in the configuration file.\n'
  );
}
