import { randomBytes } from "node:crypto";
import { type Config, toTlsOptions } from "@db/config";
import { type Database, quoteIdentifier } from "@db/core";
import type { ShadowDatabase } from "@db/migrate";
import { Client } from "pg";
import { connectionOf } from "./pool-options.ts";

/**
 * Makes empty databases beside the configured one, on the same server, for what is to be tried and thrown away. Needs
 * the right to create databases.
 */
export function shadowDatabases(config: Config, db: () => Database): () => Promise<ShadowDatabase> {
  return async () => {
    const connection = connectionOf(config);
    const name = `db_shadow_${randomBytes(6).toString("hex")}`;
    await db().query(`create database ${quoteIdentifier(name)} template template0`);
    const url = new URL(connection.primaryUrl.reveal());
    url.pathname = `/${name}`;
    const client = new Client({ connectionString: url.href, ssl: toTlsOptions(connection.tls) });
    client.on("error", () => undefined);
    const drop = async (): Promise<void> => {
      await client.end().catch(() => undefined);
      await db().query(`drop database if exists ${quoteIdentifier(name)} with (force)`);
    };
    try {
      await client.connect();
    } catch (error) {
      await drop();
      throw error;
    }
    return { db: client, drop };
  };
}
