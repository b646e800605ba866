// The recording rules: every probe's latency in one family, from native or classic histograms; shares
// over budget for several windows; drops as shares of received packets; the load of CPUs; and of all hosts
// together what dashboards, federation and remote storage need, in fleet_recording.ts.
//
// All labels of the target stay (job, instance and whatever the operator adds). Of the probe's own labels
// device, protocol and vector stay, since loopback's quick packets would hide a slow card's; cpu does not.

import { PROBES } from '../../probes/index.ts';
import { fleetRules } from './fleet_recording.ts';
import { CARD_REASON } from './loss_reasons.ts';
import type { RecordingRule, RuleGroup } from './model.ts';
import { LONG_RATIOS, QUANTILES, type RatioWindow, recorded, SHORT_RATIOS } from './recorded.ts';
import { MINUTE, rate, series, type Terms, WINDOW } from './terms.ts';

/** Probes whose vectors share one count of what was over budget, and of which some are never idle. */
export const BY_VECTOR = PROBES.filter(({ by }) => by === 'vector').map(({ id }) => id);

export function recordingGroups(terms: Terms): RuleGroup<RecordingRule>[] {
  return [
    // A group for each probe: Prometheus evaluates groups beside each other.
    ...PROBES.map(({ id }) => ({ name: `rxscope.${id}`, rules: probeRules(terms, id) })),
    { name: 'rxscope.budgets', rules: SHORT_RATIOS.map((window) => ratioRule(terms, window)) },
    {
      // Days of samples of every host are read each time.
      name: 'rxscope.budgets_long',
      interval: terms.interval(2 * MINUTE),
      rules: LONG_RATIOS.map((window) => ratioRule(terms, window)),
    },
    { name: 'rxscope.drops', rules: dropRules(terms) },
    { name: 'rxscope.cpus', rules: cpuRules(terms) },
    { name: 'rxscope.fleet', rules: fleetRules(terms) },
  ];
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
    // Of histograms merged: quantiles of hosts do not add up. The merged histogram itself is not recorded,
    // since Prometheus 2.42 refuses a rate of one whose count is off by a rounding.
    ...QUANTILES.map(([name, q]) => ({
      record: names.fleetQuantile(name),
      expr: `${terms.either(
        `histogram_quantile(${q}, sum by (job) (${rate(terms, metric)}))`,
        `histogram_quantile(${q}, sum by (job, le) (${rate(terms, `${metric}_bucket`)}))`,
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
  // Burn rates are not of probes by vector: what nobody asks for is not read for days back.
  const some = `probe!~"${BY_VECTOR.join('|')}"`;
  const over = (name: string): string =>
    window === WINDOW
      ? series(terms, name)
      : `sum_over_time(${series(terms, name, some)}[${terms.time(window)}])`;
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
