// All hosts of a job as one, from what is recorded of each (its latencies: recording.ts): five series a probe
// however many hosts there are. Cheap to draw, to federate and to write to a storage elsewhere. What Prometheus adds as external
// labels (cluster, region) tells fleets apart there; a fleet's label of one host could not stay.

import type { RecordingRule } from './model.ts';
import { recorded } from './recorded.ts';
import { rate, series, type Terms } from './terms.ts';

export function fleetRules(terms: Terms): RecordingRule[] {
  const names = recorded(terms);
  const sum = (by: string, expr: string): string => `sum by (${by}) (${expr})`;
  const p99 = series(terms, names.quantile('p99'));
  const budget = series(terms, 'rxscope_budget_seconds');
  return [
    {
      record: names.fleetObservations,
      expr: sum('job, probe', series(terms, names.observations)),
    },
    {
      record: names.fleetOverBudgetRatio,
      expr: `${sum('job, probe', series(terms, names.overBudget))}\n/\n(${series(terms, names.fleetObservations)} > 0)`,
    },
    { record: names.fleetReceived, expr: sum('job', series(terms, names.received)) },
    {
      record: names.fleetDrops,
      expr: sum('job, reason', rate(terms, 'rxscope_drops_total')),
    },
    { record: names.fleetUp, expr: sum('job', series(terms, 'up')) },
    { record: names.fleetTargets, expr: `count by (job) (${series(terms, 'up')})` },
    {
      // The worst of a host, by which hosts are ranked.
      record: names.budgetRatio,
      expr: `max by (job, instance) (\n${p99}\n/ ignoring (device, protocol, vector) group_left ()\n${budget}\n)`,
    },
  ];
}
