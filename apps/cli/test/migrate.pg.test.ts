import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { emptyFolder, runDb, startDb } from "./binary.ts";

let cluster: TestCluster;
let folder: Awaited<ReturnType<typeof emptyFolder>>;
let env: Record<string, string>;
let name: string;

beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(async () => {
  await cluster?.stop();
});
beforeEach(async () => {
  folder = await emptyFolder();
  const database = await cluster.createDatabase();
  ({ name } = database);
  env = { DATABASE_URL: database.url };
  await mkdir(join(folder.path, "migrations"));
});
afterEach(async () => {
  await folder.remove();
});

async function file(path: string, text: string): Promise<void> {
  await writeFile(join(folder.path, "migrations", path), text);
}

async function db(
  line: string,
): Promise<{ code: number | null; data: never; error: { code: string; message: string } | null }> {
  const { code, stdout, stderr } = await runDb([...line.split(" "), "--json"], { cwd: folder.path, env });
  expect(stdout, stderr).not.toBe("");
  const { data, error } = JSON.parse(stdout) as { data: never; error: { code: string; message: string } | null };
  return { code, data, error };
}

async function states(): Promise<string[]> {
  const { data } = await db("migrate status");
  return (data as { migrations: { state: string }[] }).migrations.map(({ state }) => state);
}

describe("db migrate", () => {
  test("goes forward, back, and over again, each on its own command", async () => {
    for (const n of [1, 2, 3]) {
      await file(`000${n}_t.sql`, `-- migrate:up\ncreate table t${n} ();\n-- migrate:down\ndrop table t${n};\n`);
    }
    expect((await db("migrate to 2")).code).toBe(0);
    expect(await states()).toEqual(["applied", "applied", "pending"]);
    expect((await db("migrate plan -o plan.json")).code).toBe(0);
    expect((await db("migrate plan --rehearse")).data).toMatchObject({
      execute: "rollback",
      applied: [{ id: "0003_t" }],
    });
    expect((await db("migrate apply plan.json")).code).toBe(0);
    expect((await db("migrate redo")).code).toBe(5);
    expect((await db(`migrate redo --confirm ${name}`)).data).toMatchObject({
      undone: { applied: [{ id: "0003_t" }] },
      done: { applied: [{ id: "0003_t" }] },
    });
    expect((await db("migrate to 0001")).code).toBe(5);
    expect((await db(`migrate to 0001 --confirm ${name}`)).code).toBe(0);
    expect(await states()).toEqual(["applied", "reverted", "reverted"]);
    expect((await db("migrate apply plan.json")).error?.code).toBe("MIGRATE_STALE_PLAN");
  });

  test("says every thing wrong with every file, with place, line and way out", async () => {
    await file("0001_a.sql", "create table a (id int);\ncreate tabel b ();\n");
    await file("0002_b.sql", "select 1;");
    await file("0002_c.sql", "select 1;");
    await file("0003_d.sql", "-- migrate:up transactoin=false\nselect 1;");
    await writeFile(join(folder.path, "migrations", "0004_e.sql"), Buffer.from("fffe7300", "hex"));
    const files = await runDb(["migrate", "up"], { cwd: folder.path, env });
    expect(files.code).toBe(1);
    for (const said of [
      "0002_c.sql: version 0002 is also that of 0002_b.sql",
      'unknown setting "transactoin"; did you mean "transaction"?',
      "  1 | -- migrate:up transactoin=false",
      "0004_e.sql: the file is UTF-16",
      "Save it as UTF-8.",
    ]) {
      expect(files.stderr).toContain(said);
    }
    for (const path of ["0002_c.sql", "0003_d.sql", "0004_e.sql"]) await rm(join(folder.path, "migrations", path));
    const syntax = await runDb(["migrate", "up"], { cwd: folder.path, env });
    expect(syntax.stderr).toContain('error: 0001_a.sql:2:8: syntax error at or near "tabel"');
    expect(syntax.stderr).toContain("  2 | create tabel b ();\n             ^");
  });

  test("tells of a database that is ahead of the folder, though nothing is pending", async () => {
    await file("0001_a.sql", "create table a (id int);");
    await file("0002_b.sql", "create table b (id int);");
    expect((await db("migrate up")).code).toBe(0);
    await rm(join(folder.path, "migrations", "0002_b.sql"));
    const up = await runDb(["migrate", "up"], { cwd: folder.path, env });
    expect(up.code).toBe(0);
    expect(up.stdout).toContain("nothing pending");
    expect(up.stdout).toContain("0002_b is applied and has no file: the database is ahead of the folder");
  });

  test("lints a folder for people and for code hosts, and imports and squashes one", async () => {
    await file("0001_a.sql", "create table a (id int);");
    await file("0002_b.sql", "create index a_id on a (id);\nalter table a add c varchar(5);");
    const people = await runDb(["migrate", "lint", "--all"], { cwd: folder.path });
    expect(people.stdout).toContain("0002_b.sql:1:1: blocks: creating an index stops writes to public.a");
    expect(people.code).not.toBe(0);
    const github = await runDb(["migrate", "lint", "--all", "--advice", "--format", "github"], { cwd: folder.path });
    expect(github.stdout).toContain("::error file=");
    expect(github.stdout).toContain("title=prefer-text");
    expect((await db("migrate lint --all --format word")).error?.code).toBe("CLI_USAGE");
    expect((await db("migrate lint")).data).toMatchObject({ files: 2 });
    expect((await db("migrate squash --to 2")).data).toMatchObject({ id: "0002_squashed", statements: 3 });
    expect((await db("migrate up")).data).toMatchObject({ applied: [{ id: "0002_squashed" }] });
    expect((await db("migrate verify --shadow")).data).toMatchObject({ broken: 0, withoutDown: 1 });

    await mkdir(join(folder.path, "old", "20240102030405_a"), { recursive: true });
    await writeFile(join(folder.path, "old", "20240102030405_a", "migration.sql"), "create table old ();");
    expect((await db("migrate import old --dir new")).data).toMatchObject({ tool: "prisma", blocked: false });
    expect(await readFile(join(folder.path, "new", "20240102030405_a.sql"), "utf8")).toBe(
      `-- imported from prisma: "20240102030405_a" ${createHash("sha256").update("create table old ();").digest("hex")}\n` +
        "-- migrate:up\ncreate table old ();\n",
    );
  });

  test("runs an online migration phase by phase, and takes one back", async () => {
    await file(
      "0001_users.sql",
      "create table users (id int primary key, age text);\ninsert into users values (1, '7');",
    );
    expect((await db("migrate up")).code).toBe(0);
    const made = await runDb(
      ["migrate", "new", "age", "--change", "users.age", "--type", "integer", "--back", "new_value::text", "--json"],
      { cwd: folder.path, env },
    );
    expect(JSON.parse(made.stdout)).toMatchObject({ data: { viewSchema: "public_v0002", written: true } });
    expect((await db("migrate contract")).error?.code).toBe("MIGRATE_REFUSED");
    expect((await db("migrate expand")).code).toBe(0);
    expect((await db("migrate switch public_v0002")).data).toMatchObject({ searchPath: "public_v0002, public" });
    expect((await db("migrate cancel")).code).toBe(0);
    expect((await db("migrate switch public")).data).toMatchObject({ previous: "public_v0002, public" });
    for (const phase of ["expand", "backfill", "contract"]) expect((await db(`migrate ${phase}`)).code).toBe(0);
    expect(await states()).toEqual(["applied", "applied"]);
    expect((await db("migrate backfill --pause")).data).toEqual({ asked: 0 });
  });

  test("imports the folder of another tool", async () => {
    await mkdir(join(folder.path, "old"));
    const sql = "-- migrate:up\ncreate table a ();\n\n-- migrate:down\ndrop table a;\n";
    await writeFile(join(folder.path, "old/20260101000000_a.sql"), sql);
    expect((await db("migrate import old --tool dbmat")).code).toBe(2);
    expect((await db("migrate import old --tool dbmate")).data).toMatchObject({
      tool: "dbmate",
      files: [{ source: "20260101000000_a.sql" }],
    });
    expect((await db("migrate up")).code).toBe(0);
    expect(await states()).toEqual(["applied"]);
  });

  test("proves a baseline, tells drift and broken promises, and repairs", async () => {
    await file(
      "0001_a.sql",
      "-- migrate:up\ncreate table ${table} (id int);\n-- migrate:verify\nselect count(*) = 0 from ${table};\n",
    );
    expect((await db("migrate baseline 1 --set table=a")).error?.code).toBe("MIGRATE_REFUSED");
    expect((await db("migrate up --set table=a")).code).toBe(0);
    expect((await db("migrate verify --set table=a")).data).toMatchObject({ holding: 1, failing: 0 });
    expect((await db("migrate drift")).code).toBe(0);
    expect((await db("migrate drift --shadow --set table=a")).data).toMatchObject({
      expected: { source: "given" },
      drifted: false,
    });
    const client = await cluster.connect(name);
    await client.query("create table stranger ()");
    for (const how of ["", " --shadow --set table=a"]) {
      const drift = await db(`migrate drift${how}`);
      expect(drift).toMatchObject({ code: 4, data: { differences: [{ object: "table public.stranger" }] } });
    }
    await client.query("drop table stranger");
    await client.end();
    await file(
      "0001_a.sql",
      (await readFile(join(folder.path, "migrations/0001_a.sql"), "utf8")).replace("int", "bigint"),
    );
    expect((await db("migrate up --set table=a")).code).not.toBe(0);
    expect((await db("migrate repair --dry-run")).data).toMatchObject({ actions: [{ id: "accept-change:0001_a" }] });
    expect((await db("migrate repair --only accept-change:0001_a")).data).toMatchObject({
      report: { done: ["accept-change:0001_a"] },
    });
    expect(await states()).toEqual(["applied"]);
    await rm(join(folder.path, "migrations/0001_a.sql"));
    await file("0002_b.sql", "create table b ();");
    expect((await db("reset")).code).toBe(5);
    expect((await db("reset --force --migrate")).code).toBe(0);
    expect(await states()).toEqual(["applied"]);
  });

  test("resets to a migrated and seeded database, and keeps everything where that could not be", async () => {
    await file("0001_orders.sql", "create table orders (id int);");
    const application = (seed: string): string => `export default {
      name: "shop", title: "Shop", validationRules: [], demonstrationQueries: [],
      indexPack: { name: "shop", indexes: [] }, migrationsDirectory: ${JSON.stringify(join(folder.path, "migrations"))},
      ${seed}
    };`;
    const loader = `import { createRequire } from "node:module";
      const { Client } = createRequire(${JSON.stringify(import.meta.filename)})("pg");\n`;
    await writeFile(
      join(folder.path, "shop.mjs"),
      loader +
        application(`async seed({ url, scale = 1 }) {
        const client = new Client({ connectionString: url });
        await client.connect();
        await client.query("insert into orders select generate_series(1, $1::int)", [100 * scale]);
        await client.end();
        return { rows: { orders: 100 * scale }, durationMs: 1, skipped: false };
      },`),
    );
    await writeFile(join(folder.path, "bare.mjs"), application(""));
    const client = await cluster.connect(name);
    try {
      await client.query("create schema kept; create table kept.precious ()");
      const kept = async (): Promise<boolean> =>
        (await client.query<{ there: boolean }>("select to_regclass('kept.precious') is not null as there")).rows[0]!
          .there;
      expect((await db("reset --force --seed")).error?.code).toBe("CLI_USAGE");
      expect((await db("reset --force --seed --app bare.mjs")).error?.code).toBe("CLI_USAGE");
      expect((await db("reset --force --seed --app shop.mjs --scale big")).error?.code).toBe("CLI_USAGE");
      await file("0002_wrong.sql", "create tabel wrong ();");
      expect((await db("reset --force --migrate")).error?.code).toBe("MIGRATE_FILES");
      await rm(join(folder.path, "migrations/0002_wrong.sql"));
      expect((await db("reset --seed --app shop.mjs")).error?.code).toBe("CLI_NOT_CONFIRMED");
      expect(await kept()).toBe(true);
      const done = await db("reset --force --seed --scale 0.5 --app shop.mjs");
      expect(done.data).toMatchObject({
        migrated: { applied: [{ id: "0001_orders" }] },
        seeded: { rows: { orders: 50 } },
      });
      expect(await kept()).toBe(false);
      expect((await client.query("select count(*)::int as n from orders")).rows).toEqual([{ n: 50 }]);
    } finally {
      await client.end();
    }
  });

  test("applies a stored plan only as it was made, where it was made, and in time", async () => {
    await file("0001_a.sql", "create table a (id int);");
    expect((await db("migrate plan -o plan.json")).code).toBe(0);
    const path = join(folder.path, "plan.json");
    const made = await readFile(path, "utf8");
    await writeFile(path, made.replace("create table a (id int)", "create table a (id int, spy text)"));
    const edited = await db("migrate apply plan.json");
    expect(edited.error).toMatchObject({
      code: "MIGRATE_STALE_PLAN",
      message: "the plan is stale: the plan file was edited after it was made",
    });
    await writeFile(path, made.replace('"blocked": false', '"blocked": true'));
    expect((await db("migrate apply plan.json")).error?.code).toBe("MIGRATE_STALE_PLAN");
    await writeFile(path, made.slice(0, -40));
    expect((await db("migrate apply plan.json")).error?.code).toBe("MIGRATE_OPTIONS");
    expect((await db("migrate apply nothing.json")).error?.code).toBe("CLI_USAGE");
    await writeFile(path, made);
    expect((await db("migrate apply plan.json --max-age 1ms")).error?.message).toMatch(/it was made .* ago, and 1 ?ms/);

    // A plan made where the folder has another path.
    const { directory } = JSON.parse(made) as { directory: string };
    expect(directory).toBe(join(folder.path, "migrations"));
    await rename(directory, join(folder.path, "elsewhere"));
    expect((await db("migrate apply plan.json")).error?.code).toBe("MIGRATE_FOLDER");
    expect((await db("migrate apply plan.json --dir elsewhere --dry-run")).code).toBe(0);
    await rename(join(folder.path, "elsewhere"), directory);

    // A database whose schema is another one.
    const other = await cluster.createDatabase();
    const client = await cluster.connect(other.name);
    await client.query("create table someone_elses ()");
    await client.end();
    const mine = env;
    env = { DATABASE_URL: other.url };
    expect((await db("migrate apply plan.json")).error?.code).toBe("MIGRATE_STALE_PLAN");
    env = mine;
    expect((await db("migrate apply plan.json --max-age 1h")).code).toBe(0);
    expect((await db("migrate apply plan.json")).data).toMatchObject({ skipped: ["0001_a"], applied: [] });
    expect(await states()).toEqual(["applied"]);
  });

  test("undoes what only the history still knows, and does over what is there", async () => {
    await file("0001_a.sql", "-- migrate:up\ncreate table a (id int);\n-- migrate:down\ndrop table a;\n");
    await file("0002_b.sql", "-- migrate:up\ncreate table b (id int);\n-- migrate:down\ndrop table b;\n");
    expect((await db("migrate up")).code).toBe(0);
    // Another branch, on which the second file never was.
    await rm(join(folder.path, "migrations/0002_b.sql"));
    expect((await db(`migrate down --confirm ${name}`)).data).toMatchObject({ applied: [{ id: "0002_b" }] });
    expect(await states()).toEqual(["applied"]);
    expect((await db(`migrate redo --confirm ${name}`)).data).toMatchObject({ done: { applied: [{ id: "0001_a" }] } });
    expect((await db("migrate to 0001")).code).toBe(0);
  });

  test("pauses a backfill from another process, and goes on with it", async () => {
    const rows = 1_500;
    await file(
      "0001_t.sql",
      `create table t (id int primary key, n int);\ninsert into t (id) select generate_series(1, ${rows});`,
    );
    await file(
      "0002_fill.sql",
      "-- migrate:expand\nalter table t add more int;\n" +
        "-- migrate:backfill table=t key=id batch=50 batch_time=1ms pause=100ms max_lag=off\nupdate t set n = coalesce(n, 0) + 1 where :batch;\n",
    );
    expect((await db("migrate up --to 1")).code).toBe(0);
    expect((await db("migrate expand")).code).toBe(0);
    const client = await cluster.connect(name);
    try {
      const filling = startDb(["migrate", "backfill"], { cwd: folder.path, env });
      for (const until = Date.now() + 60_000; ;) {
        const { rows: found } = await client.query<{ there: boolean }>(
          "select to_regclass('db_migrate.history_backfills') is not null as there",
        );
        const begun =
          found[0]!.there &&
          (await client.query("select from db_migrate.history_backfills where batches > 1")).rowCount! > 0;
        if (begun) break;
        if (Date.now() > until || filling.child.exitCode !== null)
          throw new Error(`no batch was done:\n${filling.output()}`);
      }
      const during = await runDb(["migrate", "status"], { cwd: folder.path, env });
      expect(during.stdout).toMatch(/at work now: server process \d+/);
      expect(during.stdout).toContain("0002_fill  online");
      expect((await db("migrate backfill --pause")).data).toEqual({ asked: 1 });
      const ended = await filling.ended;
      expect(ended.stderr).toMatch(/the backfill of t was paused after \d+ rows/);
      expect(ended.code).toBe(8);
      expect((await db("migrate backfill")).data).toMatchObject({
        applied: [{ phase: "backfill", statements: [{ rows }] }],
      });
      expect((await client.query("select count(*)::int as n from t where n = 1")).rows).toEqual([{ n: rows }]);
    } finally {
      await client.end();
    }
  });
});
