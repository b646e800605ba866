// GET /api/v1/…: what the live page and `rxscope top` read, as JSON objects to which fields can be
// added later. Reads what the agent has at hand; starts no gather.

import type { FastifyInstance } from 'fastify';
import type { ServeSource } from '../source.ts';

export function apiRoutes(source: ServeSource) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get('/api/v1/probes', async () => ({ probes: source.probes() }));
    app.get('/api/v1/outliers', async () => ({ outliers: source.outliers() }));
    app.get('/api/v1/drops', async () => ({ drops: source.drops() }));
  };
}
