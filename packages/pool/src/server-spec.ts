import { Client, type ClientConfig } from "pg";
import { address, readAddresses, type ServerAddress } from "./address.ts";
import { isConninfo, readConninfo } from "./conninfo.ts";
import { NamedSocket } from "./known-names.ts";
import type { PoolConfig, PoolOptions } from "./options.ts";
import { refusesWay, sslModes, type TlsWays, tlsWays } from "./tls-mode.ts";
import type { TopologyMember } from "./topology-provider.ts";

/** A replica, and which share of the reads it gets beside the others. */
export interface WeightedReplica {
  readonly url: string;
  /** Compared with the weights of the others, 1 by default. 0: it stands by for a failover and serves no reads. */
  readonly weight: number;
}

/** One server as configured. What it turns out to be is for the probe to say. */
export interface ServerSpec {
  readonly address: ServerAddress;
  readonly configuredRole: "primary" | "replica";
  /** Share of reads compared with other replicas; 0 gives it none. */
  readonly weight: number;
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
    "retry circuitBreaker sslMode pipeline prepare compat topology targetSessionAttrs loadBalance consistency tags " +
    "sessionState clientHandles leakAction"
  ).split(" "),
);

/** The servers a pool begins with, and how to make others for it. */
export interface ResolvedServers {
  readonly servers: readonly ServerSpec[];
  /** A server the provider of the topology told of: as the first one configured, elsewhere. */
  specOf(member: TopologyMember): ServerSpec;
  /** Other replicas; adds what is wrong with them to `problems`. */
  replicasOf(urls: PoolOptions["replicaUrls"], problems: string[]): ServerSpec[];
}

/** Finds the servers in the options; adds what is wrong with them to `problems`. */
export function resolveServers(
  config: PoolConfig,
  merged: Pick<PoolOptions, "replicaUrls"> & { readonly keepAliveMs: number | false },
  problems: string[],
): ResolvedServers {
  const base = clientBase(config, merged.keepAliveMs);
  const ways = readTls(config, problems);
  const primary = readAll("primaryUrl", config.primaryUrl ?? (config.connectionString || undefined), problems);
  const replicasOf: ResolvedServers["replicasOf"] = (replicaUrls = [], found) => {
    if (!Array.isArray(replicaUrls)) found.push("replicaUrls is no list");
    return (Array.isArray(replicaUrls) ? (replicaUrls as typeof replicaUrls) : []).flatMap((each, index) => {
      const { url, weight = 1 } =
        typeof each === "string" ? { url: each } : ((each as WeightedReplica | null) ?? { url: "" });
      if (!(weight >= 0) || !Number.isFinite(weight)) {
        found.push(`replicaUrls[${index}] has the weight ${String(weight)}, not a number from 0`);
      }
      const addresses = readAll(`replicaUrls[${index}]`, url ?? "", found);
      return addresses.map((at) => spec(at, { configuredRole: "replica", weight }, base, ways));
    });
  };
  const specs = [
    ...(primary.length > 0 ? primary : [unnamedServer(base)]).map((at) =>
      spec(at, { configuredRole: "primary", weight: 1 }, base, ways),
    ),
    ...replicasOf(merged.replicaUrls, problems),
  ];
  const seen = new Set<string>();
  for (const { address } of specs) {
    if (seen.has(address.name)) problems.push(`${address.name} is listed twice`);
    seen.add(address.name);
  }
  return {
    servers: specs,
    replicasOf,
    specOf: ({ host, port, role, weight = 1 }) => {
      const { database, url } = specs[0]!.address;
      const at = address({ host, port, database, url: url === "" ? "" : urlElsewhere(url, host, port) });
      return spec(at, { configuredRole: role, weight }, url === "" ? { ...base, host, port } : base, ways);
    },
  };
}

/** The same URL with another host: same login, database and parameters. */
function urlElsewhere(url: string, host: string, port: number): string {
  const shown = host.includes(":") ? `[${host}]` : encodeURIComponent(host);
  return url.replace(/^([^:/?#]*:\/\/(?:[^@/]*@)?)[^/?#]*/, (_, login: string) => `${login}${shown}:${port}`);
}

function readAll(option: string, url: string | undefined, problems: string[]): readonly ServerAddress[] {
  if (url === undefined) return [];
  if (typeof url !== "string" || url.trim() === "") {
    problems.push(`${option} is ${typeof url === "string" ? "empty" : typeof url}, not a URL`);
    return [];
  }
  // pg also takes a bare socket directory, and leaves it to pg-connection-string.
  if (url.startsWith("/") || url.startsWith("socket:")) {
    const { host, port, database } = new Client(url);
    return [address({ host, port, database, url })];
  }
  const reading = isConninfo(url) ? readConninfo(url) : readAddresses(url);
  problems.push(...reading.problems.map((problem) => `${option} ${problem}`));
  return reading.addresses;
}

function spec(
  at: ServerAddress,
  of: Pick<ServerSpec, "configuredRole" | "weight">,
  base: ClientConfig,
  ways: TlsWays | undefined,
): ServerSpec {
  /** Clients that go the second way. */
  const second = new WeakSet<Client>();
  return {
    address: at,
    ...of,
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
    ...(Array.isArray(config.replicaUrls) ? (config.replicaUrls as (string | WeightedReplica | null)[]) : []).map(
      (each, index) => [`replicaUrls[${index}]`, typeof each === "string" ? each : each?.url] as const,
    ),
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
  base.stream ??= () => new NamedSocket();
  if (config.applicationName !== undefined) base.application_name = config.applicationName;
  if (keepAliveMs !== false) Object.assign(base, { keepAlive: true, keepAliveInitialDelayMillis: keepAliveMs });
  // Passwords of a config may have been made non-enumerable, as pg does itself.
  if (config.password !== undefined) base.password = config.password;
  return base;
}
