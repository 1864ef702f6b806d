import { type Logger, noLogger } from "@db/core";
import { PublicAddressError, WeakTokenError } from "./errors.ts";
import type { StatusSource } from "./source.ts";

/** Durations are milliseconds. */
export interface ServerOptions {
  readonly source: StatusSource;
  /** Default `127.0.0.1`. Any other than a loopback address needs a token. */
  readonly host?: string;
  /** Default 0: a free port. */
  readonly port?: number;
  /** Bearer tokens that may read details and metrics; several at once allow rotation. Each at least 32 characters. */
  readonly tokens?: readonly string[];
  /** Host names the server answers to beside its address; others are refused, against DNS rebinding. */
  readonly allowedHosts?: readonly string[];
  /** Shown as `releaseId`. */
  readonly version?: string;
  /** Pause between two updates of a live page. Default 5 000. */
  readonly updateIntervalMs?: number;
  /** Longest a request waits for a collection. Default 2 000. */
  readonly collectTimeoutMs?: number;
  /** Requests a minute and client to everything but the health endpoints. Default 600. */
  readonly requestsPerMinute?: number;
  /** How long `/readyz` says no before connections are refused. Default 0; set it to the load balancer's period. */
  readonly drainMs?: number;
  readonly logger?: Logger;
}

export type ResolvedServerOptions = Required<ServerOptions>;

export const serverDefaults: Readonly<Omit<ResolvedServerOptions, "source">> = Object.freeze({
  host: "127.0.0.1",
  port: 0,
  tokens: Object.freeze([]),
  allowedHosts: Object.freeze([]),
  version: "0.0.0",
  updateIntervalMs: 5_000,
  collectTimeoutMs: 2_000,
  requestsPerMinute: 600,
  drainMs: 0,
  logger: noLogger,
});

/** @throws {PublicAddressError | WeakTokenError} */
export function resolveServerOptions(options: ServerOptions): ResolvedServerOptions {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const resolved = { ...serverDefaults, ...given } as ResolvedServerOptions;
  for (const token of resolved.tokens) if (token.length < 32) throw new WeakTokenError(token.length);
  if (!isLoopback(resolved.host) && resolved.tokens.length === 0) throw new PublicAddressError(resolved.host);
  return resolved;
}

/** True for an address that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}
