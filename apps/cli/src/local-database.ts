import { existsSync } from "node:fs";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";

/** A database that `db start` or `db dev` runs in a folder: enough for other commands there to find it. */
export interface LocalDatabase {
  /** Process that runs it. */
  readonly pid: number;
  readonly primaryUrl: string;
  readonly replicaUrls: readonly string[];
  readonly repository: string;
  readonly encryptionKeyFile: string;
  readonly auditFile: string;
  /** Application module, absolute. */
  readonly application: string | null;
}

const fileName = "database.json";

/** Tells other commands of a running database; holds its password, so only its owner may read it. */
export async function announceLocalDatabase(directory: string, database: LocalDatabase): Promise<void> {
  const file = join(directory, fileName);
  await writeFile(`${file}.new`, JSON.stringify(database, null, 2), { mode: 0o600 });
  await rename(`${file}.new`, file);
}

export async function withdrawLocalDatabase(directory: string): Promise<void> {
  await rm(join(directory, fileName), { force: true });
}

/** The database that runs in `.db` of this folder or of one above it, up to the repository's root. */
export async function findLocalDatabase(cwd: string): Promise<LocalDatabase | undefined> {
  for (let directory = resolve(cwd); ; directory = dirname(directory)) {
    const found = await readLocalDatabase(join(directory, ".db"));
    if (found) return found;
    if (existsSync(join(directory, ".git")) || dirname(directory) === directory) return undefined;
  }
}

/** The same as settings of the configuration. */
export function localSettings(database: LocalDatabase): Record<string, unknown> {
  return {
    "connection.url": database.primaryUrl,
    "connection.replicaUrls": [...database.replicaUrls],
    "backup.repository": database.repository,
    // Somebody is watching: the page moves every few seconds.
    "monitor.intervalMs": 5_000,
  };
}

/** The database that runs in this very directory. */
export async function readLocalDatabase(directory: string): Promise<LocalDatabase | undefined> {
  try {
    const database = JSON.parse(await readFile(join(directory, fileName), "utf8")) as LocalDatabase;
    process.kill(database.pid, 0);
    return database;
  } catch {
    // No file, a torn one, or one that a killed run left: there is no database running here.
    return undefined;
  }
}
