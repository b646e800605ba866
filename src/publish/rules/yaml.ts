// The rules as files that Prometheus, or its operator in Kubernetes, reads.

import { stringify } from 'yaml';
import type { RuleGroup } from './model.ts';

const HEADER = '# Made by `rxscope rules`; change its options rather than this file.\n';

/** For `rule_files` of Prometheus. */
export function rulesFile(groups: readonly RuleGroup[]): string {
  return HEADER + toYaml({ groups });
}

/** For the Prometheus operator. */
export function prometheusRule(groups: readonly RuleGroup[]): string {
  return (
    HEADER +
    toYaml({
      apiVersion: 'monitoring.coreos.com/v1',
      kind: 'PrometheusRule',
      metadata: { name: 'rxscope', labels: { 'app.kubernetes.io/name': 'rxscope' } },
      spec: { groups },
    })
  );
}

function toYaml(value: unknown): string {
  // A line is not folded: descriptions are templates, and are searched for.
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}
