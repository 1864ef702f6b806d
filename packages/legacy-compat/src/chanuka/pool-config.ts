import { type Config, type Profile, toTlsOptions } from "@db/config";
import type pg from "pg";
import { profileDefaults, readEnvironment } from "../environment.ts";
import { recordUse } from "../use.ts";

/**
 * Pool sizes and TLS of each environment, as `new Pool` of pg or of `@db/pool` takes them. Where the database is
 * comes from the variables of this process; a bound that they set, such as `DB_CONNECTION_LIMIT`, beats the
 * environment's own.
 */
export const AdvancedPoolConfig: {
  /** 2 to 10 connections, no TLS. */
  development(): pg.PoolConfig;
  /** 3 to 15 connections, TLS where the connection asks for it. */
  staging(): pg.PoolConfig;
  /** 5 to 50 connections, TLS always, the certificate verified unless the connection says `require`. */
  production(): pg.PoolConfig;
} = Object.freeze({
  development: () => poolConfig("development"),
  staging: () => poolConfig("staging"),
  production: () => poolConfig("production"),
});

/** Without counting a use: the pool of the profile in force. */
export function environmentPoolConfig(): pg.PoolConfig {
  return configOf(readEnvironment().config.profile);
}

function poolConfig(profile: Profile): pg.PoolConfig {
  recordUse("AdvancedPoolConfig");
  return configOf(profile);
}

function configOf(profile: Profile): pg.PoolConfig {
  // Read as in development: whether TLS is good enough is decided here, by the environment that was asked for.
  const { config: read, explain } = readEnvironment({ profile: "development", requireConnection: false });
  const { connection } = read;
  const defaults = profileDefaults(profile).pool;
  const bound = <K extends keyof Config["pool"]>(name: K): Config["pool"][K] =>
    explain(`pool.${name}`).source.level.endsWith("default") ? defaults[name] : read.pool[name];
  const [max, keepAliveMs] = [bound("max"), bound("keepAliveMs")];
  const where =
    connection === undefined
      ? {}
      : { host: connection.host, port: connection.port, database: connection.database, user: connection.user };
  const config: pg.PoolConfig = {
    ...where,
    min: Math.min(bound("min"), max),
    max,
    idleTimeoutMillis: bound("idleTimeoutMs"),
    connectionTimeoutMillis: bound("connectTimeoutMs"),
    query_timeout: bound("queryTimeoutMs"),
    statement_timeout: bound("queryTimeoutMs"),
    keepAlive: keepAliveMs !== false,
    ...(keepAliveMs === false ? {} : { keepAliveInitialDelayMillis: keepAliveMs }),
    ssl: tlsOf(profile, connection && toTlsOptions(connection.tls)),
  };
  if (connection === undefined) return config;
  const { password } = new URL(connection.primaryUrl.reveal());
  // pg reads it all the same; printed or serialised it does not show.
  return password === ""
    ? config
    : Object.defineProperty(config, "password", { value: decodeURIComponent(password), enumerable: false });
}

function tlsOf(profile: Profile, asked: object | false | undefined): pg.PoolConfig["ssl"] {
  if (profile === "development") return false;
  if (asked) return asked;
  return profile === "production" ? { rejectUnauthorized: true } : false;
}
