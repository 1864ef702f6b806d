import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "@db/core";
import { MigrationOptionsError } from "./errors.ts";
import { compareVersions } from "./folder.ts";

/** What a new migration file is made from. */
export interface CreateMigrationOptions {
  /** Made when it is not there. */
  readonly directory: string;
  /** What the migration does, in a few words: `add email to users`. */
  readonly name: string;
  /** Only tell the name and the text. Default false. */
  readonly dryRun?: boolean;
  readonly clock?: Clock;
}

/** A migration file as written, or as it would be. */
export interface CreatedMigration {
  readonly id: string;
  /** Path, the folder's included. */
  readonly file: string;
  readonly content: string;
  readonly written: boolean;
}

const template = `-- migrate:up

-- migrate:down

`;

/**
 * Writes an empty migration whose version is later than all others: the next number where the folder counts
 * (`0004`), else the UTC time (`20261121093000`).
 * @throws {MigrationOptionsError} for a name without a letter or digit, or in a folder that drizzle-kit numbers
 */
export async function createMigrationFile(options: CreateMigrationOptions): Promise<CreatedMigration> {
  const { directory, dryRun = false, clock = systemClock } = options;
  const id = await nextMigrationId(directory, options.name, clock);
  const file = join(directory, `${id}.sql`);
  if (!dryRun) {
    await mkdir(directory, { recursive: true });
    await writeFile(file, template, { flag: "wx" });
  }
  return { id, file, content: template, written: !dryRun };
}

/** The id of the next migration of a folder. @throws {MigrationOptionsError} as `createMigrationFile` */
export async function nextMigrationId(directory: string, name: string, clock: Clock = systemClock): Promise<string> {
  const slug = name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^_+|_+$/g, "")
    .slice(0, 80);
  if (slug === "") {
    throw new MigrationOptionsError("a migration needs a name with a letter or digit", {
      hint: 'Say what it does: "add email".',
    });
  }
  const names: string[] = await readdir(directory).catch(() => []);
  if (names.includes("meta")) {
    throw new MigrationOptionsError(`${directory} is numbered by drizzle-kit`, {
      hint: "Use drizzle-kit generate --custom, so that its journal knows the file.",
    });
  }
  const versions = names
    .flatMap((name) => /^(\d+)[_-].*\.(sql|ts|mts|js|mjs)$/.exec(name)?.[1] ?? [])
    .sort(compareVersions);
  return `${nextVersion(versions.at(-1), clock.now())}_${slug}`;
}

const longestCounter = 6;

function nextVersion(newest: string | undefined, now: number): string {
  const next = newest === undefined ? "" : (BigInt(newest) + 1n).toString();
  if (newest !== undefined && newest.length <= longestCounter) return next.padStart(newest.length, "0");
  const stamp = new Date(now).toISOString().replace(/\D/g, "").slice(0, 14);
  // A clock that is behind, or two files in one second.
  return newest !== undefined && compareVersions(stamp, newest) <= 0 ? next : stamp;
}
