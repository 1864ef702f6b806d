import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Client, Pool } from "pg";
import type { MigrationSource } from "./migration-files.ts";

/** A migration tool: how it wants its files, and how it applies what is pending. */
export interface MigrationTool {
  /** Its name among contenders. */
  readonly name: string;
  readonly package: string;
  /** The table in which it remembers what it applied. */
  readonly historyTable: string;
  /** Writes the migrations in the tool's own form. */
  render(sources: readonly MigrationSource[], directory: string): Promise<void>;
  /** Connects, applies what is pending, disconnects. Loads the tool when first called. */
  run(url: string, directory: string): Promise<void>;
}

/** Its files are checked against their checksums, and what is pending is parsed, linted and planned. */
const dbMigrate: MigrationTool = {
  name: "db_migrate",
  package: "@db/migrate",
  historyTable: "db_migrate.history",
  render: (sources, directory) => renderSql(sources, directory, (sql) => `-- migrate:up\n${sql}`),
  async run(url, directory) {
    const { applyMigrations, planMigrations } = await import("@db/migrate");
    const client = new Client({ connectionString: url });
    await client.connect();
    try {
      await applyMigrations(client, await planMigrations(client, { directory }));
    } finally {
      await client.end();
    }
  },
};

/** It has no SQL files of its own: a provider reads them, as its users write one. */
const kysely: MigrationTool = {
  name: "kysely",
  package: "kysely",
  historyTable: "kysely_migration",
  render: (sources, directory) => renderSql(sources, directory, (sql) => sql),
  async run(url, directory) {
    const { Kysely, PostgresDialect, sql } = await import("kysely");
    const { Migrator } = await import("kysely/migration");
    const db = new Kysely<unknown>({
      dialect: new PostgresDialect({ pool: new Pool({ connectionString: url, max: 1 }) }),
    });
    try {
      const migrator = new Migrator({
        db,
        provider: {
          async getMigrations() {
            const files = await readdir(directory);
            const migrations = files.map(async (file) => {
              const text = await readFile(join(directory, file), "utf8");
              return [file.replace(/\.sql$/, ""), { up: (tx: typeof db) => sql.raw(text).execute(tx) }] as const;
            });
            return Object.fromEntries(await Promise.all(migrations)) as never;
          },
        },
      });
      const { error } = await migrator.migrateToLatest();
      if (error !== undefined) throw error as Error;
    } finally {
      await db.destroy();
    }
  },
};

const drizzle: MigrationTool = {
  name: "drizzle_orm",
  package: "drizzle-orm",
  historyTable: "drizzle.__drizzle_migrations",
  async render(sources, directory) {
    await renderSql(sources, directory, (sql) => sql);
    const firstMs = Date.UTC(2026, 0, 1);
    const entries = sources.map(({ name: tag }, idx) => ({
      idx,
      version: "7",
      when: firstMs + idx * 1_000,
      tag,
      breakpoints: true,
    }));
    await mkdir(join(directory, "meta"));
    const journal = JSON.stringify({ version: "7", dialect: "postgresql", entries });
    await writeFile(join(directory, "meta/_journal.json"), journal);
  },
  async run(url, directory) {
    const [{ drizzle: connect }, { migrate }] = await Promise.all([
      import("drizzle-orm/node-postgres"),
      import("drizzle-orm/node-postgres/migrator"),
    ]);
    const pool = new Pool({ connectionString: url, max: 1 });
    try {
      await migrate(connect(pool), { migrationsFolder: directory });
    } finally {
      await pool.end();
    }
  },
};

const nodePgMigrate: MigrationTool = {
  name: "node_pg_migrate",
  package: "node-pg-migrate",
  historyTable: "pgmigrations",
  render: (sources, directory) => renderSql(sources, directory, (sql) => `-- Up Migration\n${sql}`),
  async run(url, directory) {
    const { runner } = await import("node-pg-migrate");
    await runner({
      databaseUrl: url,
      dir: directory,
      direction: "up",
      migrationsTable: "pgmigrations",
      log: () => undefined,
    });
  },
};

/** Ours first, then its peers. */
export const migrationTools: readonly MigrationTool[] = [dbMigrate, kysely, drizzle, nodePgMigrate];

async function renderSql(
  sources: readonly MigrationSource[],
  directory: string,
  form: (sql: string) => string,
): Promise<void> {
  await mkdir(directory, { recursive: true });
  await Promise.all(sources.map(({ name, sql }) => writeFile(join(directory, `${name}.sql`), form(sql))));
}
