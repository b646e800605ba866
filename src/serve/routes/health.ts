// GET /-/healthy: the process answers. GET /-/ready: the agent measures. In the manner of
// Prometheus' own servers. Neither gathers anything.

import type { FastifyInstance } from 'fastify';
import type { ServeSource } from '../source.ts';

export function healthRoutes(source: ServeSource) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get('/-/healthy', async (_request, reply) => reply.send('rxscope is healthy.\n'));

    app.get('/-/ready', async (_request, reply) =>
      source.ready()
        ? reply.send('rxscope is ready.\n')
        : reply
            .code(503)
            .send('rxscope is not ready: its probes are being attached, or it is shutting down.\n'),
    );
  };
}
