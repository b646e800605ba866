// The recording rules: every probe's latency in one family, from native or classic histograms; shares
// over budget for several windows; drops as shares of received packets; the load of CPUs.
//
// All labels of the target stay (job, instance and whatever the operator adds). Of the probe's own labels
// device, protocol and vector stay, since loopback's quick packets would hide a slow card's; cpu does not.

import { PROBES } from '../../probes/index.ts';
import { CARD_REASON } from './loss_reasons.ts';
import type { RecordingRule, RuleGroup } from './model.ts';
import { DAY, HOUR, MINUTE, rate, series, type Terms, WINDOW } from './terms.ts';

const QUANTILES = [
  ['p50', 0.5],
  ['p99', 0.99],
  ['p999', 0.999],
] as const;

/** Windows of the share over budget; burn rates compare two of them. */
const RATIO_WINDOWS = [WINDOW, 30 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, DAY, 3 * DAY] as const;
type RatioWindow = (typeof RATIO_WINDOWS)[number];

export function recordingGroups(terms: Terms): RuleGroup<RecordingRule>[] {
  return [
    // A group for each probe: Prometheus evaluates groups beside each other.
    ...PROBES.map(({ id }) => ({ name: `rxscope.${id}`, rules: probeRules(terms, id) })),
    { name: 'rxscope.budgets', rules: RATIO_WINDOWS.map((window) => ratioRule(terms, window)) },
    { name: 'rxscope.drops', rules: dropRules(terms) },
    { name: 'rxscope.cpus', rules: cpuRules(terms) },
  ];
}

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
  } as const;
}

function probeRules(terms: Terms, id: string): RecordingRule[] {
  const names = recorded(terms);
  const metric = `rxscope_${id}_seconds`;
  const labels = { probe: id };
  const sum = (name: string): string => `sum without (cpu) (${rate(terms, name)})`;
  return [
    {
      record: names.observations,
      expr: terms.either(`histogram_count(${sum(metric)})`, sum(`${metric}_count`)),
      labels,
    },
    {
      record: names.overBudget,
      expr: rate(terms, 'rxscope_over_budget_total', `probe="${id}"`),
      labels,
    },
    ...QUANTILES.map(([name, q]) => ({
      record: names.quantile(name),
      // The comparison drops what was idle: its quantile is not a number.
      expr: `${terms.either(
        `histogram_quantile(${q}, ${sum(metric)})`,
        `histogram_quantile(${q}, ${sum(`${metric}_bucket`)})`,
      )} >= 0`,
      labels,
    })),
  ];
}

/**
 * Sums of recorded rates, not rates over days: the same but at the edges, and the cost of a long window
 * is then some hundred samples of a few series. Weighted by traffic, as a mean of ratios would not be.
 */
function ratioRule(terms: Terms, window: RatioWindow): RecordingRule {
  const names = recorded(terms);
  const over = (name: string): string =>
    window === WINDOW
      ? series(terms, name)
      : `sum_over_time(${series(terms, name)}[${terms.time(window)}])`;
  return {
    record: names.overBudgetRatio(window),
    expr: `${over(names.overBudget)}\n/\n(sum without (protocol, vector) (${over(names.observations)}) > 0)`,
  };
}

function dropRules(terms: Terms): RecordingRule[] {
  const names = recorded(terms);
  const cards = rate(terms, 'rxscope_packets_dropped_total', 'where="device"');
  return [
    {
      record: names.received,
      // The kernel's own count of the same where no probe is on that follows packets: drops may be alone.
      expr: `(sum without (device) (${rate(terms, 'rxscope_received_packets_total')}) > 0)
or
sum without (cpu) (${rate(terms, 'rxscope_softnet_processed_total')})`,
    },
    {
      record: names.drops,
      expr: `(
  sum without (device) (${rate(terms, 'rxscope_drops_total')})
or
  label_replace(sum without (device, where) (${cards}), "reason", "${CARD_REASON}", "", "")
)
/ ignoring (reason) group_left ()
(${series(terms, names.received)} > 0)`,
    },
  ];
}

function cpuRules(terms: Terms): RecordingRule[] {
  const names = recorded(terms);
  // (other) is a sum over the CPUs without a label of their own.
  const one = 'cpu!="(other)"';
  return [
    { record: names.softnetProcessed, expr: rate(terms, 'rxscope_softnet_processed_total', one) },
    {
      record: names.softirqTime,
      expr: `sum without (mode) (${rate(terms, 'rxscope_cpu_seconds_total', `mode="softirq",${one}`)})`,
    },
  ];
}
