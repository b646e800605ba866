// PromQL as the panels use it: latencies of a probe from native or classic histograms. Pure strings.
//
// A query that has two forms has each on a line of its own, which ends in a comment that says so:
//     A # native
//     or # either
//     B # classic
// PromQL ignores the comments; src/publish/dashboard_files.ts leaves out a form by its lines.

import { PROBES } from '../../src/probes/index.ts';
import {
  anyOf,
  BACKLOG_REASONS,
  CARD_REASON,
  LOSS_REASONS,
  SOCKET_BUFFER_REASONS,
} from '../../src/publish/rules/loss_reasons.ts';
import { withoutRemoved } from '../../src/publish/rules/removed.ts';

/** Labels by which every dashboard selects. */
export const FLEET = 'job=~"$job",instance=~"$instance"';
/** The same for one host: a name with brackets, as IPv6 has, is no regular expression. */
export const ONE_HOST = 'job="$job",instance="$instance"';

/** `rate(metric{selector}[$__rate_interval])`, of devices that are there. */
export function rate(metric: string, selector: string): string {
  return `rate(${metric}{${withoutRemoved(metric, selector)}}[$__rate_interval])`;
}

/** `sum by (labels) (rate(…))`; over everything when there are no labels. */
export function sumRate(metric: string, selector: string, by: readonly string[] = []): string {
  return `sum${by.length === 0 ? '' : ` by (${by.join(', ')}) `}(${rate(metric, selector)})`;
}

const LOSS = anyOf([
  ...Object.keys(LOSS_REASONS).filter((reason) => reason !== CARD_REASON),
  ...SOCKET_BUFFER_REASONS,
  ...BACKLOG_REASONS,
]);

/**
 * Packets a second that somebody wanted and did not get: by the kernel for a reason that alerts, or by
 * the card. Firewalls and scans of closed ports, which are drops as well, are no loss.
 */
export function lost(selector: string, by: readonly string[] = []): string {
  const ofKernel = rate('rxscope_drops_total', `reason=~"${LOSS}",${selector}`);
  const ofCard = rate('rxscope_packets_dropped_total', `where="device",${selector}`);
  return `sum${by.length === 0 ? '' : ` by (${by.join(', ')})`} (\n${ofKernel}\nor\n${ofCard}\n)`;
}

/** Two forms of one query; Prometheus stores one of them, or both. */
function either(native: string, classic: string): string {
  return `${native} # native\nor # either\n${classic} # classic`;
}

/** The quantile of a probe's latency, seconds; of what is idle none, where Prometheus says NaN. */
export function quantile(
  q: number,
  probe: string,
  selector: string,
  by: readonly string[] = [],
): string {
  return either(
    `histogram_quantile(${q}, ${sumRate(seconds(probe), selector, by)}) >= 0`,
    `histogram_quantile(${q}, ${sumRate(`${seconds(probe)}_bucket`, selector, [...by, 'le'])}) >= 0`,
  );
}

/** Observations a second. */
export function observations(probe: string, selector: string, by: readonly string[] = []): string {
  return either(
    `histogram_count(${sumRate(seconds(probe), selector, by)})`,
    sumRate(`${seconds(probe)}_count`, selector, by),
  );
}

/** The mean latency, seconds. Means add up along the way of a packet; quantiles do not. */
export function mean(probe: string, selector: string): string {
  const native = sumRate(seconds(probe), selector);
  const [sum, count] = ['_sum', '_count'].map((end) => sumRate(seconds(probe) + end, selector));
  return either(`histogram_sum(${native}) / histogram_count(${native})`, `${sum} / ${count}`);
}

/** The two queries of a heatmap: Grafana takes whichever brings data. */
export function buckets(probe: string, selector: string): { native: string; classic: string } {
  return {
    native: `${sumRate(seconds(probe), selector)} # native`,
    classic: `${sumRate(`${seconds(probe)}_bucket`, selector, ['le'])} # classic`,
  };
}

/** One query for all probes: what `of` yields for each, with the probe's name as a label. */
export function perProbe(of: (probe: string) => string, probes: readonly string[] = IDS): string {
  return probes.map((id) => labelled('probe', id, of(id))).join('\nor\n');
}

/** Adds a label; the query may have several lines. */
export function labelled(label: string, value: string, query: string): string {
  return `label_replace(\n${query}\n, "${label}", "${value}", "", "")`;
}

/** A name for what belongs to no network device: an empty label makes an empty legend. */
export function otherDevices(query: string): string {
  return `label_replace(\n${query}\n, "device", "others", "device", "")`;
}

/** In brackets, on lines of its own, so that the marks at the ends of lines stay there. */
export function group(query: string): string {
  return `(\n${query}\n)`;
}

/** The highest P99 of any probe as a multiple of its budget, by host. */
export function worstRatio(selector: string): string {
  const host = ['job', 'instance'];
  const latencies = perProbe((id) => quantile(0.99, id, selector, host));
  return `max by (job, instance) (\n${group(latencies)}\n/ on (job, instance, probe)\nrxscope_budget_seconds{${selector}}\n)`;
}

/** The share of each probe's observations that took longer than its budget; none of idle probes. */
export function overBudgetShare(selector: string): string {
  const over = sumRate('rxscope_over_budget_total', selector, ['probe']);
  return `${over}\n/\n${group(perProbe((id) => observations(id, selector)))} >= 0`;
}

export function seconds(probe: string): string {
  return `rxscope_${probe}_seconds`;
}

export const IDS: readonly string[] = PROBES.map(({ id }) => id);
