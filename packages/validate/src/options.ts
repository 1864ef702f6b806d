import {
  type Clock,
  type Logger,
  type Metrics,
  noLogger,
  noMetrics,
  noProgress,
  type OnProgress,
  systemClock,
} from "@db/core";
import { InvalidValidationOptionsError } from "./errors.ts";

/** How a validation runs. Durations are milliseconds. */
export interface ValidationOptions {
  /** Longest any one statement may take; its rules then end as `error`. Default 60 000; `Infinity`: no limit. */
  readonly statementTimeoutMs?: number;
  /** Longest wait for a table's lock. Default 2 000; `Infinity`: no limit. */
  readonly lockTimeoutMs?: number;
  /**
   * Keys of failing rows to keep, per failed rule: primary key only (`ctid` where there is none), never other values.
   * Default `false`: none.
   */
  readonly samples?: { readonly limit: number } | false;
  /** Accept a constraint that the server already enforces as proof, and read no row for it. Default `true`. */
  readonly proofs?: boolean;
  /** Also look for gaps in the schema itself: missing keys, constraints never validated. Default `true`. */
  readonly schemaChecks?: boolean;
  /** The moment freshness is measured at, ISO 8601. Default: now, by the server's clock. */
  readonly asOf?: string;
  readonly onProgress?: OnProgress;
  /** Ends the run between two statements; `statementTimeoutMs` bounds the one under way. */
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  readonly logger?: Logger;
  readonly metrics?: Metrics;
}

/** `ValidationOptions` with every default filled in. */
export interface ResolvedValidationOptions {
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  readonly samples: { readonly limit: number } | false;
  readonly proofs: boolean;
  readonly schemaChecks: boolean;
  readonly asOf: string | undefined;
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** The defaults, in one place. */
export const validationDefaults: Omit<ResolvedValidationOptions, "signal" | "asOf"> = Object.freeze({
  statementTimeoutMs: 60_000,
  lockTimeoutMs: 2_000,
  samples: false,
  proofs: true,
  schemaChecks: true,
  onProgress: noProgress,
  clock: systemClock,
  logger: noLogger,
  metrics: noMetrics,
});

/** Most keys kept per failed rule. */
export const maxSampleLimit = 10_000;

/**
 * Fills in the defaults.
 * @throws {InvalidValidationOptionsError} naming every contradiction
 */
export function resolveValidationOptions(options: ValidationOptions = {}): ResolvedValidationOptions {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const resolved = { asOf: undefined, signal: undefined, ...validationDefaults, ...given } as ResolvedValidationOptions;
  const problems: string[] = [];
  for (const name of ["statementTimeoutMs", "lockTimeoutMs"] as const) {
    if (!(resolved[name] >= 1)) problems.push(`${name} must be at least 1 ms, or Infinity`);
  }
  if (resolved.samples !== false) {
    const { limit } = resolved.samples;
    if (!Number.isInteger(limit) || limit < 1 || limit > maxSampleLimit) {
      problems.push(`samples.limit must be a whole number from 1 to ${maxSampleLimit}`);
    }
  }
  if (resolved.asOf !== undefined && Number.isNaN(Date.parse(resolved.asOf))) {
    problems.push("asOf must be a time in ISO 8601");
  }
  if (problems.length > 0) {
    throw new InvalidValidationOptionsError(problems.join("; "), { hint: "Correct the options named." });
  }
  return resolved;
}

/** A bound as PostgreSQL's settings want it: 0 is "no limit" there. */
export function timeoutSetting(ms: number): string {
  return Number.isFinite(ms) ? String(Math.ceil(Math.min(ms, 2_147_483_647))) : "0";
}
