import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { startCluster, type TestCluster } from "@db/testkit";
import { Client } from "pg";
import type { Arena } from "./benchmark.ts";
import { migratedSchema, migratedSchemaSql, migrationSources } from "./migration-files.ts";
import { type MigrationTool, migrationTools } from "./migration-tool.ts";

/** A server, and the same 500 migrations in a folder for each tool. */
export interface MigrationArena extends Arena {
  readonly migrations: number;
  directoryOf(tool: MigrationTool): string;
  /** An empty database, in place of the one given out before. @returns its URL */
  freshDatabase(): Promise<string>;
}

/** The database a tool migrated, for the check to look at. */
export interface MigratedDatabase {
  readonly url: string;
  readonly historyTable: string;
}

export async function openMigrations(): Promise<MigrationArena & { readonly cluster: TestCluster<0> }> {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await startCluster());
  const directory = await mkdtemp(join(tmpdir(), "bench-migrations-"));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const sources = migrationSources();
  for (const tool of migrationTools) await tool.render(sources, join(directory, tool.name));
  const client = await cluster.connect();
  stack.defer(() => client.end());
  const { rows } = await client.query<{ server_version: string }>("show server_version");
  let last: string | undefined;
  const kept = stack.move();
  return {
    cluster,
    postgres: rows[0]?.server_version ?? "",
    migrations: sources.length,
    directoryOf: (tool) => join(directory, tool.name),
    async freshDatabase() {
      if (last !== undefined) await client.query(`drop database ${last} with (force)`);
      const { name, url } = await cluster.createDatabase();
      last = name;
      return url;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Looks at what a tool left: the schema, the rows and its own history. */
export async function checkMigrated(database: MigratedDatabase, migrations: number): Promise<string | undefined> {
  const client = new Client({ connectionString: database.url });
  await client.connect();
  try {
    const schema = await client.query<typeof migratedSchema>(migratedSchemaSql);
    const history = await client.query<{ count: number }>(
      `select count(*)::int as count from ${database.historyTable}`,
    );
    const found = { ...schema.rows[0], history: history.rows[0]?.count };
    const expected = { ...migratedSchema, history: migrations };
    if (isDeepStrictEqual(found, expected)) return undefined;
    return `the database holds ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`;
  } finally {
    await client.end();
  }
}
