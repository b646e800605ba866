// drops: packets that the kernel threw away on the receive path, by reason. No latency: a count.

import type { CatalogueEntry } from './probe.ts';

export const drops: CatalogueEntry = {
  id: 'drops',
  enabled: true,
  hooks: ['drop'],
  hooksOptional: [],
  hooksExact: [],
  maps: ['drops'],
  whenHigh:
    'The reason says who: SOCKET_RCVBUFF a slow reader, NO_SOCKET nobody, CPU_BACKLOG a busy CPU.',
};
