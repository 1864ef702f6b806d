import { sqlStateOf } from "@db/core";
import type { ConnectionOptions as TlsOptions } from "node:tls";

/** libpq's words for how much TLS a connection wants. */
export type SslMode = "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full";

export const sslModes: readonly SslMode[] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/** How to reach a server: with the first of these, and when it refuses that way, with the second. */
export interface TlsWays {
  readonly first: boolean | TlsOptions;
  /** Absent, there is only one way. */
  readonly second?: boolean | TlsOptions;
}

/**
 * What pg is given for a mode. Without `ssl` options, `verify-full` trusts the system's authorities, `verify-ca` does
 * the same without looking at the name, and the weaker modes encrypt without verifying, as libpq does.
 * @see https://www.postgresql.org/docs/current/libpq-ssl.html
 */
export function tlsWays(mode: SslMode, ssl: boolean | TlsOptions | undefined): TlsWays {
  const encrypted = typeof ssl === "object" ? ssl : defaultTls(mode);
  if (mode === "disable") return { first: false };
  if (mode === "allow") return { first: false, second: encrypted };
  if (mode === "prefer") return { first: encrypted, second: false };
  return { first: encrypted };
}

/**
 * True when a server refused one way of connecting for what it is, so that the other may be tried: it has no TLS, or
 * no rule that lets an unencrypted connection in. A broken handshake or a certificate that does not verify is neither.
 */
export function refusesWay(error: unknown, usedTls: boolean): boolean {
  if (!usedTls) return sqlStateOf(error) === "28000";
  return error instanceof Error && error.message === "The server does not support SSL connections";
}

function defaultTls(mode: SslMode): boolean | TlsOptions {
  if (mode === "verify-full") return true;
  return mode === "verify-ca" ? { checkServerIdentity: () => undefined } : { rejectUnauthorized: false };
}
