import { BackupInProgressError, UnsupportedServerError } from "../errors.ts";
import type { ReplicationSession } from "./session.ts";

/** What a backup needs to know of the server before it begins. */
export interface ServerFacts {
  /** `180004` is 18.4. */
  readonly version: number;
  readonly systemIdentifier: string;
  readonly walSegmentBytes: number;
  readonly pageChecksums: boolean;
  readonly inRecovery: boolean;
  readonly databases: readonly string[];
}

/** A setting that differs from its default, as the server runs with it. */
export interface ServerSetting {
  readonly name: string;
  readonly value: string;
  readonly source: string;
}

/** What lies outside the data directory or is only in the server's memory, kept with the backup. */
export interface ServerConfiguration {
  readonly settings: readonly ServerSetting[];
  readonly extensions: readonly { readonly name: string; readonly version: string }[];
  /** Texts of the files outside the data directory that this role may read, by the setting that names them. */
  readonly files: Readonly<Record<string, string>>;
}

const factsSql = /* sql */ `
  select pg_catalog.current_setting('server_version_num'),
         pg_catalog.current_setting('data_checksums'),
         pg_catalog.pg_is_in_recovery(),
         (select setting::bigint * case unit when '8kB' then 8192 else 1 end
            from pg_catalog.pg_settings where name = 'wal_segment_size')`;

const databasesSql = /* sql */ `select datname from pg_catalog.pg_database order by oid`;

/** @throws {UnsupportedServerError} below PostgreSQL 12 */
export async function readServerFacts(session: ReplicationSession): Promise<ServerFacts> {
  const [version, pageChecksums, inRecovery, walSegmentBytes] = (await session.queryRow(factsSql)) ?? [];
  const number = Number(version);
  if (!(number >= 120_000)) {
    throw new UnsupportedServerError(`server version ${version} is not supported`, {
      hint: "Backups need PostgreSQL 12 or newer.",
    });
  }
  const [systemIdentifier] = (await session.queryRow("IDENTIFY_SYSTEM")) ?? [];
  return {
    version: number,
    systemIdentifier: systemIdentifier ?? "",
    walSegmentBytes: Number(walSegmentBytes),
    pageChecksums: pageChecksums === "on",
    inRecovery: inRecovery === "t",
    databases: ((await session.query(databasesSql))[0] ?? []).map(([name]) => name ?? ""),
  };
}

// Rounded up to the millisecond a record keeps: never earlier than what the backup holds.
const timeSql = /* sql */ `
  select pg_catalog.to_char((pg_catalog.clock_timestamp() + interval '999 microseconds') at time zone 'UTC',
                            'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** The server's clock, ISO 8601. */
export async function readServerTime(session: ReplicationSession): Promise<string> {
  const [time] = (await session.queryRow(timeSql)) ?? [];
  return time ?? "";
}

// Two numbers nobody else is likely to use: "dbbk" in ASCII, and the kind of lock.
const lockSql = /* sql */ `select pg_catalog.pg_try_advisory_lock(1684168299, 1)`;

/**
 * Takes the server's advisory lock for backups; it is held as long as the session lives.
 * @throws {BackupInProgressError}
 */
export async function lockBackups(session: ReplicationSession): Promise<void> {
  const [locked] = (await session.queryRow(lockSql)) ?? [];
  if (locked !== "t") {
    throw new BackupInProgressError("another backup of this server is running", {
      hint: "Wait for it to end, or end its session: see application_name db-backup in pg_stat_activity.",
    });
  }
}

const settingsSql = /* sql */ `
  select name, setting, source
    from pg_catalog.pg_settings
   where source not in ('default', 'client', 'session', 'override')
      or name in ('max_connections', 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions',
                  'max_locks_per_transaction', 'server_encoding', 'block_size')
   order by name`;

const extensionsSql = /* sql */ `select extname, extversion from pg_catalog.pg_extension order by extname`;

const filesSql = /* sql */ `
  select s.name, pg_catalog.pg_read_file(s.setting)
    from pg_catalog.pg_settings s
   where s.name in ('config_file', 'hba_file', 'ident_file')
     and not pg_catalog.starts_with(s.setting, pg_catalog.current_setting('data_directory') || '/')`;

// Settings that may hold a password or a key; a backup keeps them only inside the files it was given anyway.
const secretSettings = /conninfo|passphrase|password|secret|krb_server_keyfile/;

/** Reads the configuration; what this role may not see is left out. */
export async function readServerConfiguration(session: ReplicationSession): Promise<ServerConfiguration> {
  const rows = (await session.query(settingsSql))[0] ?? [];
  const extensions = (await session.query(extensionsSql))[0] ?? [];
  return {
    settings: rows
      .map(([name, value, source]) => ({ name: name ?? "", value: value ?? "", source: source ?? "" }))
      .filter(({ name }) => !secretSettings.test(name)),
    extensions: extensions.map(([name, version]) => ({ name: name ?? "", version: version ?? "" })),
    files: await readOutsideFiles(session),
  };
}

async function readOutsideFiles(session: ReplicationSession): Promise<Record<string, string>> {
  try {
    const rows = (await session.query(filesSql))[0] ?? [];
    return Object.fromEntries(rows.map(([name, text]) => [name ?? "", text ?? ""]));
  } catch {
    // Only superusers and pg_read_server_files may: the backup is as good without.
    return {};
  }
}
