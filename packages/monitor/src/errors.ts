import { DbError } from "@db/core";

/** The server is older than PostgreSQL 12: its views lack columns every collector reads. */
export class UnsupportedServerError extends DbError {
  override readonly code = "MONITOR_UNSUPPORTED_SERVER";
  readonly versionNum: number;
  constructor({ server, versionNum }: { readonly server: string; readonly versionNum: number }) {
    super(`server "${server}" runs PostgreSQL ${formatVersionNum(versionNum)}, monitoring needs 12 or later`, {
      hint: "Upgrade the server; PostgreSQL 11 has had no fixes since November 2023.",
    });
    this.versionNum = versionNum;
  }
}

/** The options contradict each other or are out of range; every problem is listed. */
export class InvalidMonitorOptionsError extends DbError {
  override readonly code = "MONITOR_INVALID_OPTIONS";
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`invalid monitor options: ${problems.join("; ")}`, { hint: "Mend every option named and start again." });
    this.problems = problems;
  }
}

/** A silence cannot be made of what was asked for; every problem is listed. */
export class InvalidSilenceError extends DbError {
  override readonly code = "MONITOR_INVALID_SILENCE";
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`nothing is silenced: ${problems.join("; ")}`, {
      hint: "Name a rule of `db monitor alerts`, a reason and an end within 30 days.",
    });
    this.problems = problems;
  }
}

/** A server did not answer within the time one collection may take. The next collection tries again. */
export class CollectTimeoutError extends DbError {
  override readonly code = "MONITOR_COLLECT_TIMEOUT";
  override readonly retryable = true;
  constructor({ server, timeoutMs }: { readonly server: string; readonly timeoutMs: number }) {
    super(`server "${server}" gave no answer within ${timeoutMs} ms`, {
      hint: "Look whether the server is overloaded, frozen or cut off; raise collectTimeoutMs only if it is far away.",
    });
  }
}

/** A receiver of OTLP was not reached, or refused what was pushed. */
export class OtlpPushError extends DbError {
  override readonly code = "MONITOR_OTLP_PUSH";
  override readonly retryable: boolean;
  /** The receiver's HTTP status; undefined when there was none. */
  readonly status: number | undefined;
  constructor(of: { readonly reason: string; readonly status?: number; readonly cause?: unknown }) {
    super(`metrics were not pushed: ${of.reason}`, {
      hint: "Look whether the receiver runs and takes OTLP over HTTP with JSON under /v1/metrics.",
      ...("cause" in of && { cause: of.cause }),
    });
    this.status = of.status;
    // As the protocol has it: these four, and what never got an answer.
    this.retryable = of.status === undefined || [429, 502, 503, 504].includes(of.status);
  }
}

/** Nothing is inspected under that name. */
export class UnknownInspectionError extends DbError {
  override readonly code = "MONITOR_UNKNOWN_INSPECTION";
  constructor(name: string, known: readonly string[]) {
    super(`nothing to inspect is called "${name}"`, { hint: `There are: ${known.join(", ")}.` });
  }
}

function formatVersionNum(versionNum: number): string {
  return versionNum >= 100_000
    ? `${Math.floor(versionNum / 10_000)}`
    : `${Math.floor(versionNum / 10_000)}.${Math.floor(versionNum / 100) % 100}`;
}
