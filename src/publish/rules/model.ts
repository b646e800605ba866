// What a file of Prometheus rules is made of, and what an alert is to rxscope: its rules, its texts
// and its section of the runbook in one object, so that none can be without the others.

/** A recording rule, as Prometheus reads it. */
export interface RecordingRule {
  readonly record: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** An alerting rule, as Prometheus reads it. */
export interface AlertingRule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Prometheus evaluates the rules of a group one after the other, and groups beside each other. */
export interface RuleGroup<Rule = RecordingRule | AlertingRule> {
  readonly name: string;
  /** Between evaluations, where it is not Prometheus' own: a Prometheus duration. */
  readonly interval?: string;
  readonly rules: readonly Rule[];
}

/** `critical`: users suffer now. `warning`: look today. `info`: for the one who looks already. */
export type Severity = 'critical' | 'warning' | 'info';

/** One condition of an alert. */
export interface Condition {
  readonly severity: Severity;
  readonly expr: string;
  /** How long it must hold: a Prometheus duration. */
  readonly holds: string;
  /** Where its value is another one than the alert's description tells. */
  readonly description?: string;
}

export interface Alert {
  /** CamelCase, and the heading of its section in the runbook. */
  readonly name: string;
  /** One for each severity. */
  readonly conditions: readonly Condition[];
  /** Static: it is what notifications are grouped by. */
  readonly summary: string;
  /** A template of Prometheus, with the value in a readable unit. */
  readonly description: string;
  readonly runbook: RunbookSection;
}

/** Markdown. */
export interface RunbookSection {
  readonly meaning: string;
  /** What to look at, in order. */
  readonly look: readonly string[];
  /** Lines of a shell. */
  readonly commands: readonly string[];
  readonly changes: readonly Change[];
}

/** What can be changed, and its price. */
export interface Change {
  readonly change: string;
  readonly costs: string;
}
