import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { Client, Pool } from "pg";
import type { MigrationSource } from "./migration-files.ts";

/** A migration tool: how it wants its files, and how it applies what is pending. */
export interface MigrationTool {
  /** Its name among contenders. */
  readonly name: string;
  readonly package: string;
  /** The table in which it remembers what it applied. */
  readonly historyTable: string;
  /** True when it is a program of its own, whatever runs it: there is no "in process" for it. */
  readonly isProgram?: boolean;
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

/** Its binary is started as a user's shell would: without the detour through Node that its npm command takes. */
const dbmate: MigrationTool = {
  name: "dbmate",
  package: "dbmate",
  historyTable: "schema_migrations",
  isProgram: true,
  render: (sources, directory) => renderSql(sources, directory, (sql) => `-- migrate:up\n${sql}\n-- migrate:down\n`),
  async run(url, directory) {
    const { resolveBinary } = await import("dbmate");
    const server = new URL(url);
    server.searchParams.set("sslmode", "disable");
    const flags = ["--url", server.href, "--migrations-dir", directory, "--no-dump-schema", "migrate"];
    await promisify(execFile)(resolveBinary(), flags, { timeout: 60_000 });
  },
};

const graphileMigrate: MigrationTool = {
  name: "graphile_migrate",
  package: "graphile-migrate",
  historyTable: "graphile_migrate.migrations",
  async render(sources, directory) {
    await mkdir(join(directory, "committed"), { recursive: true });
    let previous = "";
    for (const [index, { sql }] of sources.entries()) {
      const body = `${sql.trim()}\n`;
      const hash = `sha1:${createHash("sha1")
        .update(`${`${previous}\n${body}`.trim()}\n`)
        .digest("hex")}`;
      const header = `--! Previous: ${previous || "-"}\n--! Hash: ${hash}\n\n`;
      await writeFile(join(directory, "committed", `${String(index + 1).padStart(6, "0")}.sql`), `${header}${body}`);
      previous = hash;
    }
  },
  async run(url, directory) {
    const { default: graphile } = await import("graphile-migrate");
    const logger = new graphile.Logger(() => () => undefined);
    await graphile.migrate({ connectionString: url, migrationsFolder: directory, logger });
    // It keeps its connections for 200 ms, and ends the process when the server ends one of them.
    const { default: pools } = await import("graphile-migrate/dist/pgReal.js");
    pools.clearAllPools();
  },
};

/** Ours first, then its peers. */
export const migrationTools: readonly MigrationTool[] = [
  dbMigrate,
  kysely,
  drizzle,
  nodePgMigrate,
  dbmate,
  graphileMigrate,
];

async function renderSql(
  sources: readonly MigrationSource[],
  directory: string,
  form: (sql: string) => string,
): Promise<void> {
  await mkdir(directory, { recursive: true });
  await Promise.all(sources.map(({ name, sql }) => writeFile(join(directory, `${name}.sql`), form(sql))));
}
