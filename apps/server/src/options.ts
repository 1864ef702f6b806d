import { type Logger, noLogger } from "@db/core";
import { PublicAddressError } from "./errors.ts";
import { type Credential, parseCredential } from "./scope.ts";
import type { StatusSource } from "./source.ts";

/** Durations are milliseconds. */
export interface ServerOptions {
  readonly source: StatusSource;
  /** Default `127.0.0.1`. Any other than a loopback address needs a token. */
  readonly host?: string;
  /** Default 0: a free port. */
  readonly port?: number;
  /**
   * Bearer tokens, each `[scope:]token` or `[scope:]sha256:<hash>`, at least 32 characters; several at once allow
   * rotation. Scopes: `metrics`, `read` (the default), `operate`, `admin`; each holds those before it.
   */
  readonly tokens?: readonly string[];
  /** Groups of actions that may be asked for, such as `sessions` or `backups`. Default none: then no such route exists. */
  readonly adminActions?: readonly string[];
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
  /** Attempts to sign in a minute and client. Default 5. */
  readonly signInsPerMinute?: number;
  /** Plans and executions of actions a minute and client. Default 10 of each. */
  readonly actionsPerMinute?: number;
  /** How long `/readyz` says no before connections are refused. Default 0; set it to the load balancer's period. */
  readonly drainMs?: number;
  /** Longest wait for actions under way when the server closes; then they are told to stop. Default 10 000. */
  readonly actionDrainMs?: number;
  readonly logger?: Logger;
}

export type ResolvedServerOptions = Required<Omit<ServerOptions, "tokens">> & {
  readonly credentials: readonly Credential[];
};

export const serverDefaults: Readonly<Required<Omit<ServerOptions, "source">>> = Object.freeze({
  host: "127.0.0.1",
  port: 0,
  tokens: Object.freeze([]),
  adminActions: Object.freeze([]),
  allowedHosts: Object.freeze([]),
  version: "0.0.0",
  updateIntervalMs: 5_000,
  collectTimeoutMs: 2_000,
  requestsPerMinute: 600,
  signInsPerMinute: 5,
  actionsPerMinute: 10,
  drainMs: 0,
  actionDrainMs: 10_000,
  logger: noLogger,
});

/** @throws {PublicAddressError | WeakTokenError} */
export function resolveServerOptions(options: ServerOptions): ResolvedServerOptions {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const { tokens, ...resolved } = { ...serverDefaults, ...given } as Required<ServerOptions>;
  const credentials = tokens.map(parseCredential);
  if (!isLoopback(resolved.host) && credentials.length === 0) throw new PublicAddressError(resolved.host);
  return { ...resolved, credentials };
}

/** True for an address that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}
