import type { AlertSeverity } from "./rule.ts";

/** One rule that holds, or is about to, for one series. */
export interface Alert {
  /** Rule and series; the same for as long as the alert lives. */
  readonly key: string;
  readonly rule: string;
  /** What notifiers put into one message: the rule and the server. */
  readonly group: string;
  /** `pending` until it has held for as long as the rule says. */
  readonly state: "pending" | "firing";
  readonly severity: AlertSeverity;
  readonly title: string;
  /** The server, or empty where the rule looks at all of them. */
  readonly server: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly threshold: number;
  readonly unit?: string;
  /** Since when the condition holds, ISO 8601. */
  readonly since: string;
  /** Since when it fires, ISO 8601; absent while pending. */
  readonly firedAt?: string;
  readonly hint: string;
  /** The exact command that mends or shows it. */
  readonly command?: string;
}

/** An alert that began to fire, changed its severity, or ended. */
export interface AlertEvent {
  readonly kind: "firing" | "cleared";
  /** ISO 8601. */
  readonly at: string;
  readonly alert: Alert;
  /** Its severity before, when an alert that fires got worse or better. */
  readonly previousSeverity?: AlertSeverity;
  /** True during a blackout: kept in the history, not to be sent. */
  readonly suppressed: boolean;
}

/** Hears of alerts. What it throws is logged; it does not hold up the next collection. */
export type AlertListener = (event: AlertEvent) => void | Promise<void>;
