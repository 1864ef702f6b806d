import { adviseOnConnection, DbError, formatDuration } from "@db/core";

/** A service did not start within its bound, or failed while starting; the ones before it were stopped again. */
export class ServiceStartError extends DbError {
  override readonly code = "ORCHESTRATOR_SERVICE_START";
  readonly service: string;

  constructor(service: string, cause: unknown, detail: string) {
    super(`service ${service} did not start: ${detail}`, {
      cause,
      hint:
        adviseOnConnection(cause)?.hint ??
        hintOf(cause) ??
        "Look at the cause; what was started before it was stopped again.",
    });
    this.service = service;
  }
}

function hintOf(cause: unknown): string | undefined {
  const { hint } = (cause ?? {}) as { hint?: unknown };
  return typeof hint === "string" ? hint : undefined;
}

/** Some services did not stop cleanly; every one was asked, and the rest are down. */
export class ServiceStopError extends DbError {
  override readonly code = "ORCHESTRATOR_SERVICE_STOP";
  readonly failures: readonly { readonly service: string; readonly error: unknown }[];

  constructor(failures: readonly { readonly service: string; readonly error: unknown }[]) {
    super(
      `${failures.length} service(s) did not stop cleanly: ${failures.map((failure) => failure.service).join(", ")}`,
      {
        cause: failures[0]?.error,
        hint: "The process may exit: what was asked to stop holds no data that is not safe.",
      },
    );
    this.failures = failures;
  }
}

/** Something was asked of an orchestrator that has been closed. */
export class OrchestratorClosedError extends DbError {
  override readonly code = "ORCHESTRATOR_CLOSED";

  constructor() {
    super("the orchestrator is closed", { hint: "Make a new one with createOrchestrator." });
  }
}

/** A feature was used that the configuration gives nothing for. */
export class NotConfiguredError extends DbError {
  override readonly code = "ORCHESTRATOR_NOT_CONFIGURED";
}

/** Writing was asked of an orchestrator opened read-only. */
export class ReadOnlyError extends DbError {
  override readonly code = "ORCHESTRATOR_READ_ONLY";

  constructor(operation: string) {
    super(`${operation} would change the database, and this run is read-only`, {
      hint: "Run the command that says so by name, e.g. db migrate up or db optimize apply.",
    });
  }
}

/** The command line of a script is wrong. */
export class ScriptUsageError extends DbError {
  override readonly code = "SCRIPT_USAGE";
}

/** A script did not end in its time. */
export class ScriptTimeoutError extends DbError {
  override readonly code = "SCRIPT_TIMEOUT";
  override readonly retryable = true;

  constructor(ms: number) {
    super(`the script did not end within ${formatDuration(ms)}`, { hint: "Give it longer with --timeout." });
  }
}

/** A signal ended a script. */
export class ScriptInterruptedError extends DbError {
  override readonly code = "SCRIPT_INTERRUPTED";
  readonly signal: string;

  constructor(signal: string) {
    super(`interrupted by ${signal}`, { hint: "Run it again." });
    this.signal = signal;
  }
}

/** A job was asked for by a name that no job of this configuration has. */
export class UnknownJobError extends DbError {
  override readonly code = "ORCHESTRATOR_UNKNOWN_JOB";

  constructor(name: string, known: readonly string[]) {
    super(`no job is named "${name}"`, {
      hint: known.length === 0 ? "This configuration schedules nothing." : `Jobs: ${known.join(", ")}.`,
    });
  }
}

/** A job was asked for while its last run had not ended. */
export class JobRunningError extends DbError {
  override readonly code = "ORCHESTRATOR_JOB_IN_PROGRESS";
  override readonly retryable = true;

  constructor(name: string) {
    super(`job ${name} is running already`, { hint: "Wait until it has ended." });
  }
}
