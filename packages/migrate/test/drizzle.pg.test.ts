import { createHash } from "node:crypto";
import { startCluster, type TestCluster } from "@db/testkit";
import type { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyMigrations, migrationStatus, planMigrations, planRollback } from "../src/index.ts";
import { makeWorkspace, type Workspace } from "./workspace.ts";

const sql = {
  "0000_init": `CREATE TABLE "users" ("id" serial PRIMARY KEY, "name" text)\n--> statement-breakpoint\nCREATE INDEX "users_name" ON "users" ("name")`,
  "0001_email": `ALTER TABLE "users" ADD COLUMN "email" text;--> statement-breakpoint\nALTER TABLE "users" ADD COLUMN "age" integer;\n`,
  "0002_side": `CREATE TABLE "side" ();`,
  "0003_late": `CREATE TABLE "late" ();`,
};
type Tag = keyof typeof sql;
const when: Readonly<Record<Tag, number>> = {
  "0000_init": 1_700_000_000_000,
  "0001_email": 1_700_000_100_000,
  "0002_side": 1_700_000_200_000,
  "0003_late": 1_700_000_300_000,
};
const hash = (text: string): string => createHash("sha256").update(text).digest("hex");

function drizzleFolder(tags: readonly Tag[], dialect = "postgresql"): Promise<Workspace> {
  const entries = tags.map((tag, idx) => ({ idx, version: "7", when: when[tag], tag, breakpoints: true }));
  return makeWorkspace({
    "meta/_journal.json": JSON.stringify({ version: "7", dialect, entries }),
    "meta/0000_snapshot.json": "{}",
    ...Object.fromEntries(tags.map((tag) => [`${tag}.sql`, sql[tag]])),
  });
}

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(async () => {
  await cluster.stop();
});

/** A client on a database where drizzle has applied some of the files. */
async function afterDrizzle(tags: readonly Tag[]): Promise<Client & AsyncDisposable> {
  const { name } = await cluster.createDatabase();
  const client = await cluster.connect(name);
  await client.query(
    "create schema drizzle; create table drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint)",
  );
  for (const tag of tags) {
    await client.query(sql[tag].replaceAll("--> statement-breakpoint", ";"));
    const row = [hash(sql[tag]), when[tag]];
    await client.query("insert into drizzle.__drizzle_migrations (hash, created_at) values ($1, $2)", row);
  }
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

const drizzleRows = "select hash, created_at::float8 as at from drizzle.__drizzle_migrations order by created_at";

describe("a drizzle folder", () => {
  test("runs on an empty database, statements split at the breakpoints", async () => {
    await using files = await drizzleFolder(["0000_init", "0001_email"], "pg");
    const { name } = await cluster.createDatabase();
    const client = await cluster.connect(name);
    try {
      const plan = await planMigrations(client, { directory: files.directory });
      expect(plan.folderFormat).toBe("drizzle");
      expect(
        plan.migrations.map(({ id, statements }) => [id, statements.map(({ kind, line }) => [kind, line])]),
      ).toEqual([
        [
          "0000_init",
          [
            ["CREATE TABLE", 1],
            ["CREATE INDEX", 3],
          ],
        ],
        [
          "0001_email",
          [
            ["ALTER TABLE", 1],
            ["ALTER TABLE", 2],
          ],
        ],
      ]);
      expect((await applyMigrations(client, plan)).applied).toHaveLength(2);
    } finally {
      await client.end();
    }
  });

  test("is taken over with its history, continued, and drizzle's own history stays true", async () => {
    await using files = await drizzleFolder(["0000_init", "0001_email", "0002_side"]);
    await using client = await afterDrizzle(["0000_init", "0001_email"]);
    await client.query("insert into users (name) values ('kept')");
    const before = await migrationStatus(client, { directory: files.directory });
    expect(before).toMatchObject({ applied: 2, pending: 1, current: "0001_email", history: { exists: false } });
    const plan = await planMigrations(client, { directory: files.directory });
    expect(plan.adopt.map(({ id, source, appliedAt }) => [id, source, appliedAt])).toEqual([
      ["0000_init", "drizzle", "2023-11-14T22:13:20.000Z"],
      ["0001_email", "drizzle", "2023-11-14T22:15:00.000Z"],
    ]);
    const report = await applyMigrations(client, plan);
    expect(report).toMatchObject({ adopted: ["0000_init", "0001_email"], applied: [{ id: "0002_side" }] });
    expect((await client.query("select name from users")).rows).toEqual([{ name: "kept" }]);
    expect((await client.query(drizzleRows)).rows).toEqual(
      (["0000_init", "0001_email", "0002_side"] as const).map((tag) => ({ hash: hash(sql[tag]), at: when[tag] })),
    );
    const after = await migrationStatus(client, { directory: files.directory });
    expect(after.migrations.map(({ source }) => source)).toEqual(["drizzle", "drizzle", "file"]);
    expect((await planMigrations(client, { directory: files.directory })).adopt).toEqual([]);
  });

  test("undoes with a side file and takes the row out of drizzle's history", async () => {
    await using files = await drizzleFolder(["0000_init", "0002_side"]);
    await files.write({ "0002_side.down.sql": "DROP TABLE side;" });
    await using client = await afterDrizzle(["0000_init"]);
    await applyMigrations(client, await planMigrations(client, { directory: files.directory }));
    await applyMigrations(client, await planRollback(client, { directory: files.directory }));
    expect((await client.query(drizzleRows)).rows).toEqual([{ hash: hash(sql["0000_init"]), at: when["0000_init"] }]);
  });

  test("names the file drizzle would skip without a word", async () => {
    await using files = await drizzleFolder(["0000_init", "0002_side", "0003_late"]);
    await using client = await afterDrizzle(["0000_init", "0003_late"]);
    const plan = await planMigrations(client, { directory: files.directory });
    expect(plan.migrations.map(({ id }) => id)).toEqual(["0002_side"]);
    expect(plan.findings).toMatchObject([
      {
        id: "MIGRATE-OUT-OF-ORDER",
        migration: "0002_side",
        blocks: true,
        title: expect.stringContaining("drizzle would skip it") as string,
      },
    ]);
  });

  test("tells of a row without a file and of a file that is not what drizzle applied", async () => {
    await using files = await drizzleFolder(["0000_init"]);
    await files.write({ "0000_init.sql": `${sql["0000_init"]}\n-- edited` });
    await using client = await afterDrizzle(["0000_init", "0002_side"]);
    const plan = await planMigrations(client, { directory: files.directory });
    expect(plan.findings.map(({ id, blocks }) => [id, blocks])).toEqual([
      ["MIGRATE-ADOPTED-CHANGED", false],
      ["MIGRATE-MISSING", false],
    ]);
    expect(plan.adopt).toHaveLength(1);
  });
});
