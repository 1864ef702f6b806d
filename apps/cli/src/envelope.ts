import { adviseOnConnection, redactUrls } from "@db/core";
import type { CommandResult } from "./command.ts";
import { exitCode, exitCodeOfError, isBug } from "./exit-code.ts";

/** The database that a command spoke to, as far as it came. Holds no user and no password. */
export interface Target {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly role?: "primary" | "standby";
  readonly serverVersionNum?: number;
  readonly environment: string;
}

/** What an error says in JSON. */
export interface EnvelopeError {
  readonly code: string;
  readonly message: string;
  readonly detail: string | null;
  readonly hint: string | null;
  readonly sqlstate: string | null;
  readonly retryable: boolean;
}

/** The one object on stdout with `--json`. */
export interface Envelope {
  readonly schema: string;
  readonly ok: boolean;
  readonly status: "ok" | "warn" | "critical" | "error";
  readonly command: string;
  readonly cliVersion: string;
  readonly startedAt: string;
  readonly durationMs: number;
  readonly target: Target | null;
  readonly dryRun: boolean;
  readonly data: unknown;
  readonly changes: CommandResult["changes"] & {};
  readonly findings: CommandResult["findings"] & {};
  readonly warnings: readonly string[];
  readonly error: EnvelopeError | null;
  readonly next: readonly string[];
}

export function makeEnvelope(call: {
  readonly command: string;
  readonly cliVersion: string;
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly target: Target | undefined;
  readonly dryRun: boolean;
  readonly result: CommandResult | undefined;
  readonly error: unknown;
}): Envelope {
  const { result } = call;
  const findings = result?.findings ?? [];
  const worst = findings.some((finding) => finding.severity === "critical")
    ? "critical"
    : findings.some((finding) => finding.severity === "warn")
      ? "warn"
      : "ok";
  return {
    schema: `db-cli/${call.command.replaceAll(" ", "-") || "usage"}/1`,
    ok: call.error === undefined && worst !== "critical",
    status: call.error === undefined ? worst : "error",
    command: call.command,
    cliVersion: call.cliVersion,
    startedAt: call.startedAt.toISOString(),
    durationMs: Math.round(call.durationMs),
    target: call.target ?? null,
    dryRun: call.dryRun,
    data: result?.data ?? null,
    changes: result?.changes ?? [],
    findings,
    warnings: result?.warnings ?? [],
    error: call.error === undefined ? null : describeError(call.error, call.target),
    next: result?.next ?? [],
  };
}

// What Node says of files; the message already names the file.
const fileHints: Readonly<Record<string, string>> = {
  EACCES: "Choose a place that this account can write, or give it the right to.",
  EPERM: "Choose a place that this account can write, or give it the right to.",
  EROFS: "Choose a place that can be written: this file system is read-only.",
  ENOSPC: "Make room on that disk, or choose another one; then run it again.",
  ENOENT: "Check the path: there is nothing there.",
  EISDIR: "Name a file: that is a folder.",
  ENOTDIR: "Check the path: a part of it is a file.",
};

/**
 * An error without its secrets: connection strings lose their password, wherever they stand. One of connecting says
 * where to, why not and what to do, whoever threw it.
 */
export function describeError(error: unknown, target?: Target): EnvelopeError {
  const fields = (error ?? {}) as {
    code?: unknown;
    hint?: unknown;
    detail?: unknown;
    retryable?: unknown;
    message?: unknown;
    severity?: unknown;
  };
  const code = typeof fields.code === "string" ? fields.code : undefined;
  const fromServer = code !== undefined && /^[0-9A-Z]{5}$/.test(code) && typeof fields.severity === "string";
  const advice = exitCodeOfError(error) === exitCode.cannotConnect ? adviseOnConnection(error) : undefined;
  const place = target && `database "${target.database}" at ${target.host}:${target.port}`;
  return {
    code: fromServer ? "SERVER_ERROR" : (code ?? (isBug(error) ? "BUG" : "UNEXPECTED")),
    message: redactUrls(advice && place ? `cannot connect to ${place}: ${advice.reason}` : messageWithCause(error)),
    detail: typeof fields.detail === "string" && !fromServer ? redactUrls(fields.detail) : null,
    hint: advice?.hint ?? (typeof fields.hint === "string" ? redactUrls(fields.hint) : (fileHints[code ?? ""] ?? null)),
    sqlstate: fromServer ? code : sqlStateOfCause(error),
    retryable: fields.retryable === true,
  };
}

function messageWithCause(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0 && error.message === "")
    return error.errors.map((each) => messageWithCause(each)).join("; ");
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? messageWithCause(error.cause) : "";
  return cause === "" || error.message.includes(cause) ? error.message : `${error.message}: ${cause}`;
}

function sqlStateOfCause(error: unknown): string | null {
  let current = (error as { cause?: unknown } | undefined)?.cause;
  for (let depth = 0; current instanceof Error && depth < 8; depth += 1) {
    const { code, severity } = current as { code?: unknown; severity?: unknown };
    if (typeof code === "string" && typeof severity === "string") return code;
    current = current.cause;
  }
  return null;
}
