import { sqlStateOf } from "./sqlstate.ts";

// What the server says.
const bySqlState: Readonly<Record<string, string>> = {
  "28P01": "Check the user and the password; special characters in a URL have to be percent-encoded.",
  "28000": "Check the user, and that pg_hba.conf lets it in from this machine, with or without TLS.",
  "3D000": "Check the database's name at the end of the URL, or create that database first.",
  "53300": "Close other connections, or raise max_connections or the role's limit; a smaller pool helps too.",
  "57P03": "Try again in a moment: the server is starting up or shutting down.",
  "08P01": "Check the settings of the proxy in between: it refuses this connection.",
};

// What the network says.
const byCode: Readonly<Record<string, string>> = {
  ECONNREFUSED: "Check host and port, and that PostgreSQL runs and listens there.",
  ENOTFOUND: "Check the host's name: it is not known here.",
  EAI_AGAIN: "Try again: the host's name could not be looked up right now.",
  ETIMEDOUT: "Check host, port and firewalls: nothing answers there.",
  EHOSTUNREACH: "Check host and network: there is no way to that address.",
  ENETUNREACH: "Check host and network: there is no way to that address.",
  POOL_CONNECT_TIMEOUT: "Check host, port and firewalls: nothing answers there in time.",
  DEPTH_ZERO_SELF_SIGNED_CERT:
    "Name the certificate authority with sslrootcert, or check that this is the right server.",
  SELF_SIGNED_CERT_IN_CHAIN: "Name the certificate authority with sslrootcert, or check that this is the right server.",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "Name the certificate authority with sslrootcert.",
  CERT_HAS_EXPIRED: "Renew the server's certificate: it has expired.",
  ERR_TLS_CERT_ALTNAME_INVALID: "Connect by the name that stands in the server's certificate.",
};

/** Why no connection could be made, from the innermost error that tells it. */
export interface ConnectionAdvice {
  /** What the server or the network said. Holds no secret. */
  readonly reason: string;
  /** One sentence an operator can act on. */
  readonly hint: string;
}

/**
 * Explains an error of connecting, wherever it stands in the chain of causes; undefined when the chain holds none.
 * Pure: looks nothing up.
 */
export function adviseOnConnection(error: unknown): ConnectionAdvice | undefined {
  let current: unknown = error;
  for (let depth = 0; current instanceof Error && depth < 8; depth += 1) {
    const state = sqlStateOf(current);
    const { code } = current as { code?: unknown };
    const hint =
      state === undefined
        ? typeof code === "string"
          ? (byCode[code] ?? plain(current))
          : plain(current)
        : bySqlState[state];
    if (hint !== undefined && current.message !== "") return { reason: current.message, hint };
    current = current instanceof AggregateError ? current.errors[0] : current.cause;
  }
  return undefined;
}

// pg gives this one no code.
function plain({ message }: Error): string | undefined {
  return message === "The server does not support SSL connections"
    ? "Set sslmode=prefer or disable, or turn TLS on at the server."
    : undefined;
}
