import type { AlertSeverity } from "./rule.ts";
import type { Silence } from "./silence.ts";

/** One rule that holds, or is about to, for one series. */
export interface Alert {
  /** Rule and series; the same for as long as the alert lives. */
  readonly key: string;
  /** The same in sixteen hexadecimal digits, for addresses. */
  readonly id: string;
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
  /** Who said that they know of it, and until when it is not told; absent where nobody did. */
  readonly silence?: Silence;
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
  /**
   * True during a blackout or a silence, and for the end of what was never told: kept in the history, not to be sent.
   * What still fires when a blackout or a silence ends is told then.
   */
  readonly suppressed: boolean;
}

/** Hears of alerts. What it throws is logged; it does not hold up the next collection. */
export type AlertListener = (event: AlertEvent) => void | Promise<void>;
