import { DbError } from "./errors.ts";

/** Text that is no WAL position. */
export class InvalidLsnError extends DbError {
  override readonly code = "CORE_INVALID_LSN";
}

/**
 * Parses a WAL position, "16/B374D848", into its 64-bit value.
 * @throws {InvalidLsnError}
 * @see https://www.postgresql.org/docs/current/datatype-pg-lsn.html
 */
export function parseLsn(text: string): bigint {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (!match)
    throw new InvalidLsnError(`invalid LSN "${text}"`, { hint: 'Write it as PostgreSQL prints it, e.g. "0/3000060".' });
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

/** Writes a WAL position as PostgreSQL does: upper-case hexadecimal, no leading zeros. */
export function formatLsn(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffff_ffffn).toString(16).toUpperCase()}`;
}

/** The name of the WAL segment that holds the byte at `lsn`: timeline, then position in units of `segmentBytes`. */
export function walSegmentName(timeline: number, lsn: bigint, segmentBytes: number = 16 * 1024 * 1024): string {
  const perId = 0x1_0000_0000n / BigInt(segmentBytes);
  const number = lsn / BigInt(segmentBytes);
  return [BigInt(timeline), number / perId, number % perId]
    .map((part) => part.toString(16).toUpperCase().padStart(8, "0"))
    .join("");
}
