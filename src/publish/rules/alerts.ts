// All alerts in order, and as Prometheus reads them.

import { cpuAlerts } from './cpu_alerts.ts';
import { latencyAlerts } from './latency_alerts.ts';
import { lossAlerts } from './loss_alerts.ts';
import type { Alert, AlertingRule, RuleGroup } from './model.ts';
import { selfAlerts } from './self_alerts.ts';
import type { Terms } from './terms.ts';

/** By the group that holds them, which is a chapter of the runbook, too. */
const GROUPS = [
  { name: 'rxscope.alerts.latency', title: 'Late packets', alerts: latencyAlerts },
  { name: 'rxscope.alerts.loss', title: 'Lost packets', alerts: lossAlerts },
  { name: 'rxscope.alerts.cpu', title: 'CPUs and interrupts', alerts: cpuAlerts },
  { name: 'rxscope.alerts.self', title: 'rxscope itself', alerts: selfAlerts },
] as const;

export function alertChapters(terms: Terms): { title: string; alerts: Alert[] }[] {
  return GROUPS.map(({ title, alerts }) => ({ title, alerts: alerts(terms) }));
}

export function alertGroups(terms: Terms): RuleGroup<AlertingRule>[] {
  return GROUPS.map(({ name, alerts }) => ({
    name,
    rules: alerts(terms).flatMap((alert) => rulesOf(alert, terms)),
  }));
}

function rulesOf(alert: Alert, terms: Terms): AlertingRule[] {
  return alert.conditions.map(({ severity, expr, holds, description = alert.description }) => ({
    alert: alert.name,
    expr,
    for: holds,
    labels: { severity },
    annotations: {
      summary: alert.summary,
      description,
      runbook_url: terms.runbookUrl(alert.name),
    },
  }));
}
