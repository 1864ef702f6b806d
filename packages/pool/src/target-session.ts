import type { Target } from "./routing.ts";

/**
 * What a session must be for, in libpq's words.
 * @see https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-TARGET-SESSION-ATTRS
 */
export type TargetSessionAttrs = "any" | "read-write" | "read-only" | "primary" | "standby" | "prefer-standby";

/** How statements that name no target are routed, and what the servers must be for it. */
export interface DefaultRoute {
  readonly target: Target;
  /** Replaces `replicaFallback`. */
  readonly replicaFallback: "primary" | "error" | undefined;
  /** `read-write` wants sessions that may write by default, `read-only` sessions that may not. */
  readonly mode: "read-write" | "read-only" | undefined;
}

export const targetSessionRoutes: Readonly<Record<TargetSessionAttrs, DefaultRoute>> = Object.freeze({
  any: { target: "any", replicaFallback: undefined, mode: undefined },
  "read-write": { target: "primary", replicaFallback: undefined, mode: "read-write" },
  "read-only": { target: "replica", replicaFallback: "error", mode: "read-only" },
  primary: { target: "primary", replicaFallback: undefined, mode: undefined },
  standby: { target: "replica", replicaFallback: "error", mode: undefined },
  "prefer-standby": { target: "replica", replicaFallback: "primary", mode: undefined },
});

/** What the pool does when nothing was said. */
export const plainRoute: DefaultRoute = Object.freeze({
  target: "primary",
  replicaFallback: undefined,
  mode: undefined,
});

/** The parameters of a URL that speak of the pool rather than of the connection. */
export interface UrlWishes {
  readonly targetSessionAttrs: string | undefined;
  readonly loadBalanceHosts: string | undefined;
}

/** Reads them, of the first URL that has them. */
export function readWishes(text: string | undefined): UrlWishes {
  const find = (name: string): string | undefined =>
    new RegExp(`(?:[?&]|(?:^|\\s)\\s*)${name}\\s*=\\s*'?([\\w-]+)`).exec(text ?? "")?.[1];
  return { targetSessionAttrs: find("target_session_attrs"), loadBalanceHosts: find("load_balance_hosts") };
}
