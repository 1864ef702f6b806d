import { copyFile, mkdir, readdir, readlink, rm, symlink } from "node:fs/promises";
import path from "node:path";
import type { Queryable } from "@db/core";
import type { Account } from "./account.ts";
import { chownTree, makeServerDirectory, writeServerFile } from "./data-directory.ts";
import { copyTree } from "./copy.ts";
import { DirectoryError } from "./errors.ts";

/** The primary's side of a copy. */
export interface CopySource {
  readonly dataDirectory: string;
  readonly major: number;
  readonly account: Account | undefined;
  runOffline(statements: readonly string[]): Promise<string>;
}

/** Makes a physical slot that holds back WAL from now on. */
export function createSlotSql(name: string): string {
  return `select pg_catalog.pg_create_physical_replication_slot('${checkStandbyName(name)}', true)`;
}

/** @throws {DirectoryError} for a name that a slot cannot have */
export function checkStandbyName(name: string): string {
  if (/^[a-z0-9_]{1,63}$/.test(name)) return name;
  throw new DirectoryError(`"${name}" is no name for a standby`, { hint: "Use a-z, 0-9 and underscores." });
}

/** Copies the data of a primary that was stopped in order. */
export async function copyStoppedData(
  source: CopySource,
  target: string,
  name: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  // A slot is a directory of its name; making one takes a start of the server.
  const present = await readdir(path.join(source.dataDirectory, "pg_replslot"));
  if (!present.includes(name)) await source.runOffline([createSlotSql(name)]);
  await copyTree(source.dataDirectory, target, signal);
  await rm(path.join(target, "postmaster.pid"), { force: true });
  // A copied slot would hold WAL back for nobody.
  await emptyDirectory(path.join(target, "pg_replslot"));
}

// What a running server rewrites at each start, and what belongs to the primary only.
const skippedContents = new Set(
  "pg_wal pg_replslot pg_dynshmem pg_notify pg_serial pg_snapshots pg_stat_tmp pg_subtrans".split(" "),
);
const skippedFiles = /^(postmaster\.(pid|opts)|backup_label.*|tablespace_map.*|standby\.signal|pgsql_tmp.*|.*\.pid)$/;

/**
 * Copies the data of a running primary between pg_backup_start and pg_backup_stop. `session` must be one session of a
 * superuser for the whole call. The WAL of the copy comes from the slot, by streaming.
 */
export async function copyRunningData(
  source: CopySource,
  target: string,
  name: string,
  session: Queryable,
): Promise<void> {
  const label = `standby ${checkStandbyName(name)}`;
  const { rows } = await session.query("select from pg_catalog.pg_replication_slots where slot_name = $1", [name]);
  if (rows.length > 0) await session.query("select pg_catalog.pg_drop_replication_slot($1)", [name]);
  await session.query(createSlotSql(name));
  const modern = source.major >= 15;
  await session.query(
    modern ? "select pg_catalog.pg_backup_start($1, true)" : "select pg_catalog.pg_start_backup($1, true, false)",
    [label],
  );
  await makeServerDirectory(target, source.account);
  await copyChanging(source.dataDirectory, target);
  const stopped = await session.query<{ label: string; map: string }>(
    modern
      ? `select labelfile as label, spcmapfile as map from pg_catalog.pg_backup_stop(false)`
      : `select labelfile as label, spcmapfile as map from pg_catalog.pg_stop_backup(false, false)`,
  );
  const files = stopped.rows[0];
  await chownTree(target, source.account);
  await writeServerFile(path.join(target, "backup_label"), files?.label ?? "", source.account);
  if (files?.map) await writeServerFile(path.join(target, "tablespace_map"), files.map, source.account);
}

/** Copies files that may change or vanish meanwhile: recovery replays what happened to them. */
async function copyChanging(from: string, to: string): Promise<void> {
  const entries = await readdir(from, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const [source, target] = [path.join(from, entry.name), path.join(to, entry.name)];
    if (skippedFiles.test(entry.name)) continue;
    if (entry.isDirectory()) {
      await mkdir(target, { mode: 0o700 });
      if (skippedContents.has(entry.name)) {
        if (entry.name === "pg_wal") await mkdir(path.join(target, "archive_status"), { mode: 0o700 });
      } else await copyChanging(source, target);
    } else if (entry.isSymbolicLink()) {
      await symlink(await readlink(source), target);
    } else {
      await copyFile(source, target).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
      });
    }
  }
}

async function emptyDirectory(directory: string): Promise<void> {
  const names = await readdir(directory);
  await Promise.all(names.map((name) => rm(path.join(directory, name), { recursive: true, force: true })));
}
