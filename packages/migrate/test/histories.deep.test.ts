import { existsSync } from "node:fs";
import { join } from "node:path";
import { startCluster, type TestCluster } from "@db/testkit";
import { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  applyMigrations,
  type ForeignToolName,
  lintMigrations,
  migrationStatus,
  planImport,
  planMigrations,
  proveReversals,
  type ShadowDatabase,
  writeImport,
} from "../src/index.ts";
import { replayHistory } from "./history-replay.ts";
import { makeWorkspace } from "./workspace.ts";

// Folders of public projects, each under its own licence and none of them here: fetch them, keep the paths below, and
// name the folder that holds them.
const histories = process.env["MIGRATE_HISTORIES"];
if (!histories) console.log("skipped: MIGRATE_HISTORIES names no folder with fetched migration histories");

interface RealHistory {
  readonly name: string;
  readonly tool: ForeignToolName;
  readonly folder: string;
  readonly count: number;
  /** Findings of squawk 2.66 with its default rules on the same files; null where not compared. */
  readonly squawk: number | null;
}

const all: readonly RealHistory[] = [
  { name: "Dokploy", tool: "drizzle", folder: "dokploy/apps/dokploy/drizzle", count: 186, squawk: 1_534 },
  { name: "llmgateway", tool: "drizzle", folder: "llmgateway/packages/db/migrations", count: 20, squawk: null },
  { name: "documenso", tool: "prisma", folder: "documenso/packages/prisma/migrations", count: 163, squawk: null },
  { name: "Lemmy", tool: "diesel", folder: "lemmy/migrations", count: 342, squawk: 4_645 },
];
const here = all.filter(({ folder }) => histories !== undefined && existsSync(join(histories, folder)));
const pathOf = ({ folder }: RealHistory): string => join(histories ?? "", folder);

/** As each tool leaves it, with all but the last `left` migrations applied. */
const historySql: Partial<Record<ForeignToolName, string>> = {
  drizzle: `create schema drizzle; create table drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint)`,
  prisma: `create table _prisma_migrations (id varchar(36) primary key, checksum varchar(64) not null, finished_at timestamptz,
    migration_name varchar(255) not null, logs text, rolled_back_at timestamptz, started_at timestamptz not null default now(),
    applied_steps_count int not null default 0)`,
  diesel: `create table __diesel_schema_migrations (version varchar(50) primary key, run_on timestamp not null default now())`,
};
const rowSql: Partial<Record<ForeignToolName, string>> = {
  drizzle: "insert into drizzle.__drizzle_migrations (hash, created_at) values ($2, $1::bigint)",
  prisma:
    "insert into _prisma_migrations (id, migration_name, checksum, finished_at) values (left(md5($1), 36), $1, $2, now())",
  diesel: "insert into __diesel_schema_migrations (version) select $1 where $2::text is null",
};

describe.skipIf(here.length === 0)("real histories", () => {
  let cluster: TestCluster<0>;
  beforeAll(async () => {
    cluster = await startCluster({ version: 18 });
  });
  afterAll(async () => {
    await cluster.stop();
  });

  async function createDatabase(): Promise<ShadowDatabase & { readonly db: Pool }> {
    const { url } = await cluster.createDatabase();
    const db = new Pool({ connectionString: url, max: 1 });
    return { db, drop: () => db.end() };
  }

  test.each(here)("of $name is imported, adopted but for its last three, and continued", async (history) => {
    await using target = await makeWorkspace();
    const { directory } = target;
    const plan = await planImport({ source: pathOf(history), directory });
    expect(plan).toMatchObject({ tool: history.tool, blocked: false });
    expect(plan.files).toHaveLength(history.count);
    await writeImport(plan);

    const shadow = await createDatabase();
    const { db } = shadow;
    try {
      await db.query(historySql[history.tool] ?? "");
      const until = plan.files.at(-4);
      const before = await planMigrations(db, { directory, to: until?.id ?? "", lintBlocks: "never" });
      await applyMigrations(db, before, { allowBlocked: true, checkCatalog: false });
      // As if the other tool had done it.
      await db.query("drop schema db_migrate cascade");
      // Lemmy's own table refuses rows from anybody but its server.
      if (history.tool === "diesel") await db.query("alter table __diesel_schema_migrations disable trigger user");
      for (const { key, content } of plan.files.slice(0, -3)) {
        const checksum = / ([0-9a-f]{64})\n/.exec(content.slice(0, content.indexOf("\n") + 1))?.[1] ?? null;
        await db.query(rowSql[history.tool] ?? "", [key, checksum]);
      }
      const next = await planMigrations(db, { directory, lintBlocks: "never" });
      expect(next.findings.filter(({ rule }) => rule === null)).toEqual([]);
      expect(next.adopt).toHaveLength(history.count - 3);
      const report = await applyMigrations(db, next);
      expect(report).toMatchObject({ failed: null, applied: [{}, {}, {}] });
      expect(await migrationStatus(db, { directory })).toMatchObject({ applied: history.count, pending: 0 });
    } finally {
      await shadow.drop();
    }
  });

  test.each(here)("of $name: no rewrite or scan the server does is missed", async (history) => {
    await using target = await makeWorkspace();
    const { directory } = target;
    await writeImport(await planImport({ source: pathOf(history), directory }));
    const { url } = await cluster.createDatabase();
    const client = await cluster.connect(new URL(url).pathname.slice(1));
    try {
      await client.query(historySql[history.tool] ?? "");
      const costs = await replayHistory(client, directory);
      const began = performance.now();
      const { findings, files, statements } = await lintMigrations({ directory });
      const tookMs = Math.round(performance.now() - began);
      const share =
        history.squawk === null
          ? ""
          : `, ${((findings.length / history.squawk) * 100).toFixed(1)} % of squawk's ${history.squawk}`;
      console.log(
        `${history.name}: ${files} files, ${statements} statements judged in ${tookMs} ms, ${costs.length} rewrites and scans seen, ` +
          `${costs.filter(({ told }) => !told).length} missed, ${findings.length} findings${share}`,
      );
      expect(costs.filter(({ told }) => !told)).toEqual([]);
      if (history.squawk !== null) expect(findings.length).toBeLessThanOrEqual(history.squawk / 10);
    } finally {
      await client.end();
    }
  });
});

const lemmy = here.find(({ name }) => name === "Lemmy");
describe.skipIf(!lemmy)("the downs of Lemmy", () => {
  test("nine of the first 200 do not restore the catalog, the order of columns aside", async () => {
    await using cluster = await startCluster({ version: 15 });
    await using imported = await makeWorkspace();
    await using target = await makeWorkspace();
    const plan = await planImport({ source: pathOf(lemmy as RealHistory), directory: imported.directory });
    await target.write(Object.fromEntries(plan.files.slice(0, 200).map(({ file, content }) => [file, content])));
    const report = await proveReversals({
      directory: target.directory,
      async createDatabase() {
        const { url } = await cluster.createDatabase();
        const db = new Pool({ connectionString: url, max: 1 });
        return { db, drop: () => db.end() };
      },
    });
    const broken = report.migrations.filter(({ outcome }) => outcome !== "restored" && outcome !== "reordered");
    for (const { migration, outcome, message, differences } of broken) {
      console.log(
        migration,
        outcome,
        message ?? "",
        differences
          .slice(0, 5)
          .map(({ object, change }) => `${change} ${object}`)
          .join("; "),
        differences.length > 5 ? `and ${differences.length - 5} more` : "",
      );
    }
    expect(report).toMatchObject({ broken: 9, restored: 191, withoutDown: 0 });
  });
});
