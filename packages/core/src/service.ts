/** Whether a service does its work: fully, with a reservation, or not. */
export type HealthStatus = "pass" | "warn" | "fail";

/** One observation behind a verdict, in the terms of application/health+json. */
export interface HealthCheck {
  /** `component:measurement`, e.g. `primary:reachable`. */
  readonly name: string;
  readonly status: HealthStatus;
  readonly observedValue?: number | string;
  readonly observedUnit?: string;
  /** When it was observed, ISO 8601. */
  readonly time: string;
  /** One sentence, present when the status is not `pass`. Holds no host, user or SQL. */
  readonly output?: string;
}

/** What a service says of itself. */
export interface ServiceHealth {
  readonly status: HealthStatus;
  readonly checks: readonly HealthCheck[];
}

/**
 * The lifecycle every long-lived part follows. `start` and `stop` may be called again and do nothing the second
 * time; `stop` ends within `timeoutMs`, by force if it must; a service that never started stops at once.
 */
export interface Service extends AsyncDisposable {
  readonly name: string;
  start(signal?: AbortSignal): Promise<void>;
  stop(options?: { readonly timeoutMs?: number }): Promise<void>;
  /** Answers from what is known, within milliseconds, and never throws. */
  health(): ServiceHealth | Promise<ServiceHealth>;
}

const order: Readonly<Record<HealthStatus, number>> = { pass: 0, warn: 1, fail: 2 };

/** The worst of several verdicts; `pass` when there are none. */
export function worstStatus(statuses: Iterable<HealthStatus>): HealthStatus {
  let worst: HealthStatus = "pass";
  for (const status of statuses) if (order[status] > order[worst]) worst = status;
  return worst;
}
