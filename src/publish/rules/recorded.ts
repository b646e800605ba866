// What is recorded: names, quantiles and windows, for the rules that record and those that ask.

import { DAY, HOUR, MINUTE, type Terms, WINDOW } from './terms.ts';

export const QUANTILES = [
  ['p50', 0.5],
  ['p99', 0.99],
  ['p999', 0.999],
] as const;

/** Windows of the share over budget; burn rates compare two of them. */
export const SHORT_RATIOS = [WINDOW, 30 * MINUTE, HOUR] as const;
export const LONG_RATIOS = [2 * HOUR, 6 * HOUR, DAY, 3 * DAY] as const;
export type RatioWindow = (typeof SHORT_RATIOS | typeof LONG_RATIOS)[number];

/** Names of what is recorded; they tell their window. */
export function recorded(terms: Terms) {
  const window = terms.time(WINDOW);
  return {
    observations: `rxscope:observations:rate${window}`,
    overBudget: `rxscope:over_budget:rate${window}`,
    overBudgetRatio: (seconds: RatioWindow) =>
      `rxscope:over_budget:ratio_rate${terms.time(seconds)}`,
    quantile: (name: (typeof QUANTILES)[number][0]) => `rxscope:latency_seconds:${name}`,
    received: `rxscope:received_packets:rate${window}`,
    drops: `rxscope:drops:ratio_rate${window}`,
    softnetProcessed: `rxscope:softnet_processed:rate${window}`,
    softirqTime: `rxscope:softirq_cpu:ratio_rate${window}`,
    budgetRatio: 'rxscope_host:latency_budget:p99_ratio',
    fleetQuantile: (name: (typeof QUANTILES)[number][0]) => `rxscope_fleet:latency_seconds:${name}`,
    fleetObservations: `rxscope_fleet:observations:rate${window}`,
    fleetOverBudgetRatio: `rxscope_fleet:over_budget:ratio_rate${window}`,
    fleetReceived: `rxscope_fleet:received_packets:rate${window}`,
    fleetDrops: `rxscope_fleet:drops:rate${window}`,
    fleetUp: 'rxscope_fleet:up:sum',
    fleetTargets: 'rxscope_fleet:up:count',
  } as const;
}
