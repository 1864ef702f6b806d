import { DbError } from "./errors.ts";

const unitBytes = { B: 1, kB: 1024, MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4 } as const;

/** A size that is not a whole number with a unit. */
export class InvalidByteSizeError extends DbError {
  override readonly code = "CORE_INVALID_BYTE_SIZE";
}

/**
 * Parses a size in PostgreSQL's units (1 kB is 1024 bytes), "512MB" to "5GB". A bare number is refused.
 * @returns whole bytes
 * @throws {InvalidByteSizeError} for anything else
 * @see https://www.postgresql.org/docs/current/config-setting.html#CONFIG-SETTING-NAMES-VALUES
 */
export function parseBytes(text: string): number {
  const match = /^(\d+)\s*(B|kB|MB|GB|TB)$/.exec(text.trim());
  const value = match ? Number(match[1]) * unitBytes[match[2] as keyof typeof unitBytes] : Number.NaN;
  if (!Number.isSafeInteger(value)) {
    throw new InvalidByteSizeError(`invalid size "${text}"`, {
      hint: 'Write a number and a unit (B, kB, MB, GB, TB), e.g. "512MB".',
    });
  }
  return value;
}

/** A size for people, as PostgreSQL's units: `812 B`, `14.2 MB`. */
export function formatBytes(bytes: number | bigint): string {
  const value = Number(bytes);
  if (Math.abs(value) < 1024) return `${value} B`;
  const unit =
    Math.abs(value) < unitBytes.MB
      ? "kB"
      : Math.abs(value) < unitBytes.GB
        ? "MB"
        : Math.abs(value) < unitBytes.TB
          ? "GB"
          : "TB";
  return `${(value / unitBytes[unit]).toFixed(1)} ${unit}`;
}
