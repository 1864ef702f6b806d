import { createHash } from "node:crypto";
import { Client } from "pg";
import { BackupConnectionError, UnsupportedServerError } from "../errors.ts";
import { messageOf } from "@db/core";

/** What a dump needs to know of a database. */
export interface DumpSource {
  readonly systemIdentifier: string;
  readonly database: string;
  readonly serverVersion: number;
  readonly encoding: string;
  readonly collate: string;
  readonly ctype: string;
  readonly roles: readonly string[];
}

const sourceSql = /* sql */ `
  select d.datname as "database", pg_catalog.pg_encoding_to_char(d.encoding) as "encoding",
         d.datcollate as "collate", d.datctype as "ctype",
         pg_catalog.current_setting('server_version_num')::int as "serverVersion"
    from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()`;

const rolesSql = /* sql */ `
  select distinct r.rolname as role
    from pg_catalog.pg_roles r
   where r.oid in (select d.refobjid from pg_catalog.pg_shdepend d join pg_catalog.pg_database b on b.oid = d.dbid
                    where d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
                      and b.datname = pg_catalog.current_database())
      or r.oid in (select c.relowner from pg_catalog.pg_class c where c.oid >= 16384)
      or r.oid in (select n.nspowner from pg_catalog.pg_namespace n where n.oid >= 16384)
   order by 1`;

/** A plain connection, ended by its disposal. @throws {BackupConnectionError} */
export async function connectPlainly(url: string): Promise<{ readonly client: Client } & AsyncDisposable> {
  const client = new Client({ connectionString: url, application_name: "db-backup", connectionTimeoutMillis: 10_000 });
  // The one waiting for an answer is told; a loss between two questions is found by the next one.
  client.on("error", () => undefined);
  try {
    await client.connect();
  } catch (cause) {
    throw new BackupConnectionError(`cannot connect: ${messageOf(cause)}`, { cause });
  }
  return { client, [Symbol.asyncDispose]: () => client.end() };
}

/** @throws {BackupConnectionError} @throws {UnsupportedServerError} below PostgreSQL 12 */
export async function readDumpSource(url: string): Promise<DumpSource> {
  await using connection = await connectPlainly(url);
  const { client } = connection;
  const { rows } = await client.query<Omit<DumpSource, "systemIdentifier" | "roles">>(sourceSql);
  const source = rows[0]!;
  if (source.serverVersion < 120_000) {
    throw new UnsupportedServerError(`server version ${source.serverVersion} is not supported`, {
      hint: "Backups need PostgreSQL 12 or newer.",
    });
  }
  const roles = await client.query<{ role: string }>(rolesSql);
  const identity = await client
    .query<{ id: string }>("select system_identifier::text as id from pg_catalog.pg_control_system()")
    .then((answer) => answer.rows[0]?.id)
    .catch(() => undefined);
  return { ...source, systemIdentifier: identity ?? addressNumber(url), roles: roles.rows.map(({ role }) => role) };
}

// Some hosts hide the control file: then it is the address that tells one server from another.
function addressNumber(url: string): string {
  const { hostname, port } = new URL(url);
  const digest = createHash("sha256")
    .update(`${hostname}:${port || "5432"}`)
    .digest();
  return (digest.readBigUInt64BE() >> 1n).toString();
}
