import { Client, type ClientConfig } from "pg";
import { address, readAddresses, type ServerAddress } from "./address.ts";
import type { PoolConfig, PoolOptions } from "./options.ts";
import { refusesWay, sslModes, type TlsWays, tlsWays } from "./tls-mode.ts";

/** One server as configured. What it turns out to be is for the probe to say. */
export interface ServerSpec {
  readonly address: ServerAddress;
  readonly configuredRole: "primary" | "replica";
  /** True when the password comes from a function that may answer differently the next time. */
  readonly refreshesPassword: boolean;
  /**
   * A new client, not connected. A function, so that no secret is ever printed with the spec. `after` is the client a
   * server refused for its use of TLS: this one goes the other way.
   */
  newClient(Class?: ClientConstructor, after?: Client): Client;
  /** True when `client` failed for its use of TLS or the lack of it, and the other way is still to be tried. */
  hasOtherWay(client: Client, error: unknown): boolean;
}

/** pg's client class, or the one given in its place. */
export type ClientConstructor = new (config?: ClientConfig) => Client;

/** Options of the pool that mean nothing to a client, or that the pool does itself. */
const poolOnly: ReadonlySet<string> = new Set(
  (
    "max min maxUses poolSize idleTimeoutMillis maxLifetimeSeconds connectionTimeoutMillis query_timeout log verify " +
    "onConnect Client Promise allowExitOnIdle connectionString primaryUrl replicaUrls applicationName logger clock " +
    "retry circuitBreaker sslMode pipeline prepare compat"
  ).split(" "),
);

/** Finds the servers in the options; adds what is wrong with them to `problems`. */
export function resolveServers(
  config: PoolConfig,
  merged: Pick<PoolOptions, "replicaUrls"> & { readonly keepAliveMs: number | false },
  problems: string[],
): ServerSpec[] {
  const base = clientBase(config, merged.keepAliveMs);
  const ways = readTls(config, problems);
  const primary = readAll("primaryUrl", config.primaryUrl ?? config.connectionString, problems);
  const replicas = (merged.replicaUrls ?? []).flatMap((url, index) => readAll(`replicaUrls[${index}]`, url, problems));
  const specs = [
    ...(primary.length > 0 ? primary : [unnamedServer(base)]).map((address) => spec(address, "primary", base, ways)),
    ...replicas.map((address) => spec(address, "replica", base, ways)),
  ];
  const seen = new Set<string>();
  for (const { address } of specs) {
    if (seen.has(address.name)) problems.push(`${address.name} is listed twice`);
    seen.add(address.name);
  }
  return specs;
}

function readAll(option: string, url: string | undefined, problems: string[]): readonly ServerAddress[] {
  if (url === undefined) return [];
  // pg also takes a bare socket directory, and leaves it to pg-connection-string.
  if (url.startsWith("/") || url.startsWith("socket:")) {
    const { host, port, database } = new Client(url);
    return [address({ host, port, database, url })];
  }
  const reading = readAddresses(url);
  problems.push(...reading.problems.map((problem) => `${option} ${problem}`));
  return reading.addresses;
}

function spec(
  at: ServerAddress,
  configuredRole: "primary" | "replica",
  base: ClientConfig,
  ways: TlsWays | undefined,
): ServerSpec {
  /** Clients that go the second way. */
  const second = new WeakSet<Client>();
  return {
    address: at,
    configuredRole,
    refreshesPassword: typeof base.password === "function",
    newClient: (Class = Client, after) => {
      const ssl = after ? ways?.second : ways?.first;
      const config = { ...base, ...(ssl === undefined ? {} : { ssl }) };
      const client = new Class(at.url === "" ? config : { ...config, connectionString: at.url });
      if (after) second.add(client);
      // In pg a connection string replaces the other options whole, so a password given beside it would be lost.
      if (at.url !== "" && base.password !== undefined) Object.assign(client, { password: base.password });
      return client;
    },
    hasOtherWay: (client, error) =>
      ways?.second !== undefined && !second.has(client) && refusesWay(error, Boolean(ways.first)),
  };
}

function readTls(config: PoolConfig, problems: string[]): TlsWays | undefined {
  const { sslMode, ssl } = config;
  if (sslMode === undefined) return undefined;
  if (!sslModes.includes(sslMode)) {
    problems.push(`sslMode is "${sslMode}", not one of ${sslModes.join(", ")}`);
    return undefined;
  }
  if (sslMode === "disable" && ssl) problems.push('sslMode is "disable", but ssl is given');
  if (sslMode !== "disable" && ssl === false) problems.push(`sslMode is "${sslMode}", but ssl is false`);
  const ways = tlsWays(sslMode, ssl);
  if (ways.second === undefined) return ways;
  const urls: readonly (readonly [string, string | undefined])[] = [
    ["primaryUrl", config.primaryUrl ?? config.connectionString],
    ...(config.replicaUrls ?? []).map((url, index) => [`replicaUrls[${index}]`, url] as const),
  ];
  for (const [name, url] of urls) {
    const said = /[?&](sslmode|ssl|sslnegotiation)=/.exec(url ?? "")?.[1];
    if (said) problems.push(`sslMode is "${sslMode}", but ${name} says ${said} itself: give one of them`);
  }
  return ways;
}

/** Without a URL, pg takes the server from its options and the environment; asking a client says what it found. */
function unnamedServer(base: ClientConfig): ServerAddress {
  const { host, port, database } = new Client({ ...base });
  return address({ host, port, database, url: "" });
}

function clientBase(config: PoolConfig, keepAliveMs: number | false): ClientConfig {
  const entries = Object.entries(config).filter(
    ([key, value]) =>
      value !== undefined &&
      !poolOnly.has(key) &&
      !/(Ms|Bytes|Threshold|Fallback|Concurrency|Jitter|Waiting)$/.test(key),
  );
  const base = Object.fromEntries(entries) as ClientConfig;
  if (config.applicationName !== undefined) base.application_name = config.applicationName;
  if (keepAliveMs !== false) Object.assign(base, { keepAlive: true, keepAliveInitialDelayMillis: keepAliveMs });
  // Passwords of a config may have been made non-enumerable, as pg does itself.
  if (config.password !== undefined) base.password = config.password;
  return base;
}
