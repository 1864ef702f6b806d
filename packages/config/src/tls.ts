import type { Secret } from "./secret.ts";

export type TlsMode = "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full";

/**
 * How a connection is encrypted, said outright: drivers read the modes differently (pg takes `require` for
 * `verify-full`, libpq encrypts and verifies nothing). The modes mean here what they mean in libpq.
 * @see https://www.postgresql.org/docs/current/libpq-ssl.html
 */
export interface TlsConfig {
  readonly mode: TlsMode;
  /** Whether the server's certificate must be signed by a known authority. */
  readonly rejectUnauthorized: boolean;
  /** Whether the certificate must be for `serverName`. */
  readonly checkServerName: boolean;
  /** The host name as given, which may differ from the address connected to. */
  readonly serverName: string | undefined;
  /** PEM. `undefined` means the roots of Node. */
  readonly ca: string | undefined;
  readonly caFile: string | undefined;
  readonly cert: string | undefined;
  readonly certFile: string | undefined;
  readonly key: Secret | undefined;
  readonly keyFile: string | undefined;
}

/** What pg takes as `ssl`. */
export interface TlsOptions {
  readonly rejectUnauthorized: boolean;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly checkServerIdentity?: () => undefined;
}

/**
 * The `ssl` option of pg for a mode; `false` for none. `prefer` and `allow` give the options of their encrypted
 * attempt: the caller makes the other attempt without.
 */
export function toTlsOptions(tls: TlsConfig): TlsOptions | false {
  if (tls.mode === "disable") return false;
  return {
    rejectUnauthorized: tls.rejectUnauthorized,
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key.reveal() }),
    ...(tls.serverName === undefined || isAddress(tls.serverName) ? {} : { servername: tls.serverName }),
    ...(tls.checkServerName ? {} : { checkServerIdentity: () => undefined }),
  };
}

/** A TLS server name must not be an address. */
function isAddress(host: string): boolean {
  return /^[\d.]+$/.test(host) || host.includes(":") || host.startsWith("/");
}

/**
 * The parameters that make pg's own reading of a URL mean the same as the mode. `prefer` and `allow` have no
 * such form, and none is given.
 */
export function tlsParameters(tls: TlsConfig): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  if (tls.mode === "allow" || tls.mode === "prefer") return parameters;
  if (tls.mode === "require" || tls.mode === "verify-ca") parameters.set("uselibpqcompat", "true");
  parameters.set("sslmode", tls.mode);
  if (tls.mode === "disable") return parameters;
  // With a root certificate, pg and libpq both raise `require` to `verify-ca`: it is passed on only where it counts.
  if (tls.caFile !== undefined && tls.rejectUnauthorized) parameters.set("sslrootcert", tls.caFile);
  if (tls.certFile !== undefined) parameters.set("sslcert", tls.certFile);
  if (tls.keyFile !== undefined) parameters.set("sslkey", tls.keyFile);
  return parameters;
}
