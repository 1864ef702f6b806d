import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { quoteIdentifier, quoteLiteral } from "@db/core";
import type { Client } from "pg";
import {
  DatabaseNotEmptyError,
  InvalidBackupOptionsError,
  MissingRolesError,
  WrongMajorVersionError,
} from "../errors.ts";
import { type JobOptions, resolveJobOptions } from "../options.ts";
import { filesName } from "../repository/layout.ts";
import { shareLease } from "../repository/lease.ts";
import type { Repository } from "../repository/repository.ts";
import { safeRelativePath } from "../safe-path.ts";
import { type FileSink, parseFileIndex, readBackupObject, readStoredFiles } from "../stored-files.ts";
import { findDump, openDump, type OpenedDump } from "./dump-catalog.ts";
import { chooseClient, type DumpClient, runClient } from "./dump-client.ts";
import { type DumpInfo, dumpInfo } from "./dump-manifest.ts";
import { connectPlainly } from "./dump-source.ts";

/** Which dump to restore, and where to. */
export interface DumpRestorePlanOptions {
  readonly repository: Repository;
  readonly label: string;
  /** `postgres://` URL of a role that may create databases; any database of the target server. */
  readonly url: string;
  /** Name of the database to make; one that is there must hold no tables. */
  readonly database: string;
  readonly clients: readonly DumpClient[];
  /** False gives everything to the role that restores, and no grants. Default true. */
  readonly owners?: boolean | undefined;
}

/** Everything a restore of a dump will do, decided before anything is touched. Plain JSON, without the URL. */
export interface DumpRestorePlan {
  readonly repository: string;
  readonly dump: DumpInfo;
  readonly database: string;
  /** Whether the database is made, or was there and is empty. */
  readonly createsDatabase: boolean;
  readonly owners: boolean;
  readonly client: DumpClient;
  /** Bytes the dump takes on this machine while it is restored. */
  readonly bytes: number;
  /** Everything committed after this moment is not in it. */
  readonly losesAfter: string;
}

const tablesSql = /* sql */ `
  select count(*)::int as n from pg_catalog.pg_class where relkind in ('r', 'p', 'v', 'm', 'S', 'f') and oid >= 16384`;

/**
 * Plans the restore of a dump into a database. Reads only.
 * @throws {BackupNotFoundError} @throws {ClientMissingError} @throws {WrongMajorVersionError} for an older server
 * @throws {DatabaseNotEmptyError} @throws {MissingRolesError} @throws {MissingKeyError} @throws {CorruptObjectError}
 */
export async function planDumpRestore(options: DumpRestorePlanOptions): Promise<DumpRestorePlan> {
  const { repository, label, url, database, owners = true } = options;
  if (database === "" || database.length > 63) {
    throw new InvalidBackupOptionsError("a database's name has 1 to 63 characters", { hint: "Name the one to make." });
  }
  repository.requireKey();
  const info = await findDump(repository, label);
  const { manifest } = await openDump(repository, info);
  const client = chooseClient(options.clients, "pg_restore", manifest.clientMajor);
  await using connection = await connectPlainly(url);
  const { rows } = await connection.client.query<{ version: number; there: boolean }>(
    `select pg_catalog.current_setting('server_version_num')::int as version,
            exists (select from pg_catalog.pg_database where datname = $1) as there`,
    [database],
  );
  const { version, there } = rows[0]!;
  const from = Math.floor(manifest.serverVersion / 10_000);
  if (Math.floor(version / 10_000) < from) {
    throw new WrongMajorVersionError(
      `dump ${label} is of PostgreSQL ${from}, the target is ${Math.floor(version / 10_000)}`,
      { hint: `Restore it into PostgreSQL ${from} or newer.` },
    );
  }
  if (there) await checkEmpty(url, database);
  if (owners) await checkRoles(connection.client, manifest.roles);
  return {
    repository: repository.location,
    dump: dumpInfo(manifest, info.verifiedAt, info.mark),
    database,
    createsDatabase: !there,
    owners,
    client,
    bytes: manifest.bytes,
    losesAfter: manifest.startedAt,
  };
}

/** How a plan is carried out. */
export interface DumpRestoreOptions extends JobOptions {
  readonly repository: Repository;
  readonly plan: DumpRestorePlan;
  /** As for the plan. */
  readonly url: string;
  /** Tables and indexes restored at a time. Default 2. */
  readonly jobs?: number | undefined;
  /** Where the dump lies, not encrypted, while it is restored. Default the system's temporary directory. */
  readonly workDirectory?: string | undefined;
}

/** What a restore did. */
export interface DumpRestoreReport {
  readonly label: string;
  readonly database: string;
  readonly files: number;
  readonly bytes: number;
  readonly durationMs: number;
}

/**
 * Restores a dump as planned: every file is checked as it is unpacked, then pg_restore puts all of it in. A database that
 * was made for it and did not become whole is dropped again.
 * @throws {CorruptObjectError} before the database is touched @throws {DumpFailedError} @throws {DatabaseNotEmptyError}
 * @throws {BackupConnectionError} @throws {AbortedError}
 */
export async function restoreDump(options: DumpRestoreOptions): Promise<DumpRestoreReport> {
  const { repository, plan, url, jobs = 2 } = options;
  const job = resolveJobOptions(options);
  const began = job.clock.now();
  const { label } = plan.dump;
  const dump = await openDump(repository, plan.dump);
  await using _lease = await shareLease(repository.storage, label, job.clock);
  const directory = await mkdtemp(join(options.workDirectory ?? tmpdir(), "db-dump-"));
  try {
    await unpack(
      repository,
      dump,
      directory,
      (current) =>
        job.onProgress({ phase: "unpack", current, total: dump.manifest.bytes, unit: "bytes", message: label }),
      job.signal,
    );
    if (plan.createsDatabase) await createDatabase(url, plan.database, dump);
    else await checkEmpty(url, plan.database);
    job.onProgress({ phase: "restore", current: 0, unit: "steps", message: plan.database });
    const args = ["--format=directory", `--jobs=${jobs}`, "--exit-on-error"];
    const ownerless = plan.owners ? [] : ["--no-owner", "--no-privileges"];
    try {
      await runClient(
        plan.client,
        "pg_restore",
        inDatabase(url, plan.database),
        [...args, ...ownerless, directory],
        job.signal,
      );
    } catch (error) {
      if (plan.createsDatabase) await dropDatabase(url, plan.database).catch(() => undefined);
      throw error;
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  const { files, bytes } = dump.manifest;
  const durationMs = job.clock.now() - began;
  job.logger.info({ label, database: plan.database, durationMs }, "dump restored");
  return { label, database: plan.database, files, bytes, durationMs };
}

async function unpack(
  repository: Repository,
  dump: OpenedDump,
  directory: string,
  onBytes: (done: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const index = await readBackupObject(repository, dump, filesName, signal);
  const entries = parseFileIndex(index, dump.prefix + filesName);
  let done = 0;
  const open_ = async ({ path }: { readonly path: string }): Promise<FileSink> => {
    const file: FileHandle = await open(join(directory, safeRelativePath(path, "the file index")), "wx", 0o600);
    return {
      write: async (chunk) => {
        for (let at = 0; at < chunk.length;) at += (await file.write(chunk, at, chunk.length - at)).bytesWritten;
        done += chunk.length;
        onBytes(done);
      },
      end: () => file.close(),
      abort: () => file.close().catch(() => undefined),
    };
  };
  await readStoredFiles(repository, dump, entries, open_, { signal });
}

async function checkEmpty(url: string, database: string): Promise<void> {
  await using connection = await connectPlainly(inDatabase(url, database));
  const { rows } = await connection.client.query<{ n: number }>(tablesSql);
  if (rows[0]!.n === 0) return;
  throw new DatabaseNotEmptyError(`database "${database}" holds ${rows[0]!.n} tables, views or sequences`, {
    hint: "Name a database that is not there yet, or an empty one.",
  });
}

async function checkRoles(client: Client, roles: readonly string[]): Promise<void> {
  const { rows } = await client.query<{ role: string }>(
    `select r as role from unnest($1::text[]) r where r not in (select rolname from pg_catalog.pg_roles)`,
    [roles],
  );
  if (rows.length === 0) return;
  const missing = rows.map(({ role }) => role);
  throw new MissingRolesError(missing, `the target has no role ${missing.join(", ")}`, {
    hint: `Create them: ${missing.map((role) => `create role ${quoteIdentifier(role)};`).join(" ")} Or restore without owners.`,
  });
}

async function createDatabase(url: string, database: string, { manifest }: OpenedDump): Promise<void> {
  await using connection = await connectPlainly(url);
  const { encoding, collate, ctype } = manifest;
  await connection.client.query(
    `create database ${quoteIdentifier(database)} template template0 encoding ${quoteLiteral(encoding)}
       lc_collate ${quoteLiteral(collate)} lc_ctype ${quoteLiteral(ctype)}`,
  );
}

async function dropDatabase(url: string, database: string): Promise<void> {
  await using connection = await connectPlainly(url);
  await connection.client.query(
    "select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity where datname = $1",
    [database],
  );
  await connection.client.query(`drop database if exists ${quoteIdentifier(database)}`);
}

function inDatabase(url: string, database: string): string {
  const target = new URL(url);
  target.pathname = `/${encodeURIComponent(database)}`;
  return target.href;
}
