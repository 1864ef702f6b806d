import { DbError } from "./errors.ts";

const unitMs = { ms: 1, s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A duration that is not a whole number with a unit. */
export class InvalidDurationError extends DbError {
  override readonly code = "CORE_INVALID_DURATION";
}

/**
 * Parses a duration in PostgreSQL's units, "250ms" to "7d". A bare number is refused: its unit would be a guess.
 * @returns whole milliseconds
 * @throws {InvalidDurationError} for anything else
 * @see https://www.postgresql.org/docs/current/config-setting.html#CONFIG-SETTING-NAMES-VALUES
 */
export function parseDurationMs(text: string): number {
  const match = /^(\d+)\s*(ms|s|min|h|d)$/.exec(text.trim());
  const value = match ? Number(match[1]) * unitMs[match[2] as keyof typeof unitMs] : Number.NaN;
  if (!Number.isSafeInteger(value)) {
    throw new InvalidDurationError(`invalid duration "${text}"`, { hint: 'Write a number and a unit, e.g. "30s".' });
  }
  return value;
}

/** A duration for people: `850 ms`, `12.3 s`, `4 min 10 s`, `3 h 5 min`, `2 d 4 h`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return "0 ms";
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 10) return `${Number(ms.toFixed(1))} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const [big, bigName, small, smallName] =
    ms < 3_600_000
      ? ([60_000, "min", 1_000, "s"] as const)
      : ms < 86_400_000
        ? ([3_600_000, "h", 60_000, "min"] as const)
        : ([86_400_000, "d", 3_600_000, "h"] as const);
  const rest = Math.floor((ms % big) / small);
  return `${Math.floor(ms / big)} ${bigName}${rest > 0 ? ` ${rest} ${smallName}` : ""}`;
}
