import type { Expression } from "./expression.ts";

/** To wake somebody, to look at in the day, to know. */
export type AlertSeverity = "page" | "warn" | "info";

/** A rule, as data: evaluated in this process and written out for Prometheus from the same lines. */
export interface AlertRule {
  /** `PgLockWait`: the alert's name here and in Prometheus. */
  readonly name: string;
  /** Id of the finding it becomes: `PG-LOCK-WAIT`. */
  readonly finding: string;
  /** What is wrong, one line without a full stop. `{label}` stands for the series' label, `{value}` for its value, as people read it. */
  readonly title: string;
  readonly expression: Expression;
  /** Fires above or below the threshold. */
  readonly fires: "above" | "below";
  /** Worst first. */
  readonly levels: readonly AlertLevel[];
  readonly unit?: string;
  /** Why it matters and what to do. */
  readonly hint: string;
  /** The command that mends or shows it, with `{label}` as in the title. */
  readonly command?: string;
}

export interface AlertLevel {
  readonly severity: AlertSeverity;
  readonly threshold: number;
  /** How long the condition must hold before it fires. Default 0. */
  readonly forMs?: number;
  /** Where an alert that fires ends: below it (above, for a rule that fires below). Default the threshold itself. */
  readonly clear?: number;
}

/** Other limits for one rule on some servers or series. */
export interface RuleOverride {
  readonly rule: string;
  /** The server it holds for; all when absent. */
  readonly server?: string;
  /** Labels the series must have. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Threshold by severity; a severity the rule does not have is ignored. */
  readonly thresholds?: Partial<Readonly<Record<AlertSeverity, number>>>;
  /** Clear level by severity. A new threshold without one clears at the threshold itself. */
  readonly clear?: Partial<Readonly<Record<AlertSeverity, number>>>;
  readonly forMs?: number;
  /** Turns the rule off for what the override matches. */
  readonly disabled?: boolean;
}
