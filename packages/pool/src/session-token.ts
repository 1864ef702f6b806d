import { formatLsn, InvalidLsnError, parseLsn } from "@db/core";
import { InvalidSessionTokenError } from "./errors.ts";

/** How far the writes of a session reach. Plain data: pass it on with a cookie, a header, a message. */
export interface SessionToken {
  /** The cluster they were made on. */
  readonly systemIdentifier: string;
  /** Its history branch at that time. */
  readonly timeline: number;
  /** "0/3000060"; beyond every position when only the primary is sure to have them. */
  readonly lsn: string;
}

/** No replica ever gets here, so reads go to the primary. */
export const beyondEveryReplica = "FFFFFFFF/FFFFFFFF";

/** A token as text without spaces, commas or semicolons, for a cookie or a header. */
export function encodeSessionToken({ systemIdentifier, timeline, lsn }: SessionToken): string {
  return [systemIdentifier, timeline, lsn.replace("/", "-")].join(".");
}

/** @throws {InvalidSessionTokenError} for text that `encodeSessionToken` did not make */
export function decodeSessionToken(text: string): SessionToken {
  const [systemIdentifier = "", timeline = "", lsn = "", ...rest] = text.split(".");
  if (rest.length > 0) throw new InvalidSessionTokenError("it has more than three parts");
  return checkSessionToken({ systemIdentifier, timeline: Number(timeline || Number.NaN), lsn: lsn.replace("-", "/") });
}

/**
 * Takes only what a token can be: it came from outside.
 * @throws {InvalidSessionTokenError}
 */
export function checkSessionToken(token: SessionToken): SessionToken {
  const { systemIdentifier, timeline, lsn } = token;
  if (typeof systemIdentifier !== "string" || !/^\d{1,20}$/.test(systemIdentifier)) {
    throw new InvalidSessionTokenError("its system identifier is no number");
  }
  if (!Number.isInteger(timeline) || timeline < 0 || timeline >= 2 ** 32) {
    throw new InvalidSessionTokenError("its timeline is no whole number");
  }
  try {
    return { systemIdentifier, timeline, lsn: formatLsn(parseLsn(lsn)) };
  } catch (error) {
    if (error instanceof InvalidLsnError || error instanceof TypeError) {
      throw new InvalidSessionTokenError("its position is no LSN");
    }
    throw error;
  }
}
