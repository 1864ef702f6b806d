import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { TestCluster } from "@db/testkit";
import { Client } from "pg";
import { expect } from "vitest";
import {
  applyMigrations,
  migrateTenants,
  migrationStatus,
  type OnlinePhase,
  planBaseline,
  planCancel,
  planMigrations,
  planRepair,
  applyRepair,
  planRollback,
} from "../src/index.ts";
import { makeWorkspace, type Workspace } from "./workspace.ts";

const scenario = fileURLToPath(new URL("crash-scenario.ts", import.meta.url));

/** Something that is killed half-way, and what must hold when it is done once more. */
export interface CrashJob {
  readonly name: string;
  readonly files: Readonly<Record<string, string>>;
  /** Brings the database to where the job begins. */
  prepare(client: Client, workspace: Workspace): Promise<void>;
  /** Looks whether the status tells what is there, while nobody has mended anything. */
  check?(client: Client, directory: string): Promise<void>;
  /** Does the job again, as somebody would who does not know how far it came. */
  again(client: Client, directory: string): Promise<unknown>;
  /** What must hold then. */
  settled(client: Client, directory: string): Promise<void>;
}

async function apply(client: Client, directory: string, phase?: OnlinePhase): Promise<void> {
  const plan = await planMigrations(client, { directory, ...(phase === undefined ? {} : { phase }) });
  await applyMigrations(client, plan);
}

const rows = 4_000;
const online = {
  "0001_users.sql": `create table users (id int primary key, name text);\ninsert into users select i, 'N' || i from generate_series(1, ${rows}) i;\n`,
  "0002_lower.sql": `-- migrate:expand
alter table users add column lower text;
create index concurrently users_lower on users (lower);
-- migrate:backfill table=users key=id batch=400 batch_time=20ms max_lag=off
update users set lower = coalesce(lower, '') || lower(name) where :batch;
-- migrate:contract
alter table users add constraint lower_set check (lower is not null) not valid;
alter table users validate constraint lower_set;
alter table users alter column lower set not null;
alter table users drop constraint lower_set;
-- migrate:cancel
drop index concurrently if exists users_lower;
alter table users drop column if exists lower;
`,
};

async function states(client: Client, directory: string): Promise<string[]> {
  return (await migrationStatus(client, { directory })).migrations.map(({ state }) => state);
}

/** Every row was filled once: a batch done twice would have the name twice. */
async function filledOnce(client: Client): Promise<void> {
  const { rows: wrong } = await client.query(
    "select count(*)::int as n from users where lower is distinct from lower(name)",
  );
  expect(wrong).toEqual([{ n: 0 }]);
}

async function upTo(client: Client, directory: string, phases: readonly OnlinePhase[]): Promise<void> {
  await applyMigrations(client, await planMigrations(client, { directory, to: "0001" }));
  await client.query("analyze users");
  for (const phase of phases) await apply(client, directory, phase);
}

const phases: readonly OnlinePhase[] = ["expand", "backfill", "contract"];
const onlineJobs = phases.map((phase, index): CrashJob => ({
  name: phase,
  files: online,
  prepare: (client, { directory }) => upTo(client, directory, phases.slice(0, index)),
  async check(client, directory) {
    const [, told] = await states(client, directory);
    expect(phase === "contract" ? ["online", "applied"] : ["pending", "online"]).toContain(told);
  },
  async again(client, directory) {
    const done = (await states(client, directory))[1] === "applied";
    if (!done) await apply(client, directory, phase);
  },
  async settled(client, directory) {
    for (const left of phases.slice(index + 1)) await apply(client, directory, left);
    expect(await states(client, directory)).toEqual(["applied", "applied"]);
    await filledOnce(client);
    const { rows: column } = await client.query(
      "select attnotnull from pg_attribute where attrelid = 'users'::regclass and attname = 'lower'",
    );
    expect(column).toEqual([{ attnotnull: true }]);
    const { rows: indexes } = await client.query(
      "select indisvalid from pg_index where indexrelid = to_regclass('users_lower')",
    );
    expect(indexes).toEqual([{ indisvalid: true }]);
  },
}));

const two = {
  "0001_a.sql": "-- migrate:up\ncreate table a (id int);\n-- migrate:down\ndrop table a;",
  "0002_b.sql":
    "-- migrate:up\ncreate table b (id int);\n-- migrate:down transaction=false\ndrop index concurrently if exists b_id;\ndrop table b;",
  "0003_c.sql": "-- migrate:up\ncreate table c (id int);\n-- migrate:down\ndrop table c;",
};

async function tables(client: Client): Promise<string[]> {
  const { rows: found } = await client.query<{ name: string }>(
    "select relname::text as name from pg_class where relkind = 'r' and relname in ('a', 'b', 'c') order by 1",
  );
  return found.map(({ name }) => name);
}

/** Tables and states say the same. */
async function tellsTables(client: Client, directory: string): Promise<void> {
  const told = (await states(client, directory)).flatMap((state, index) =>
    state === "applied" ? (["a", "b", "c"][index] ?? "") : [],
  );
  expect(told).toEqual(await tables(client));
}

const plainJobs: readonly CrashJob[] = [
  {
    name: "cancel",
    files: online,
    prepare: (client, { directory }) => upTo(client, directory, ["expand", "backfill"]),
    again: async (client, directory) => {
      const [, told] = await states(client, directory);
      if (told === "online") await applyMigrations(client, await planCancel(client, { directory }));
    },
    async settled(client, directory) {
      expect((await states(client, directory))[1]).toBe("reverted");
      for (const phase of phases) await apply(client, directory, phase);
      await filledOnce(client);
    },
  },
  {
    name: "down",
    files: two,
    prepare: (client, { directory }) => apply(client, directory),
    async again(client, directory) {
      const undone = (await states(client, directory)).filter((state) => state === "reverted").length;
      if (undone === 2) return;
      await applyMigrations(client, await planRollback(client, { directory, to: "0001", allowDataLoss: true }));
    },
    async settled(client, directory) {
      expect(await tables(client)).toEqual(["a"]);
      expect(await states(client, directory)).toEqual(["applied", "reverted", "reverted"]);
      await apply(client, directory);
      expect(await tables(client)).toEqual(["a", "b", "c"]);
    },
  },
  {
    name: "baseline",
    files: two,
    prepare: async (client) => void (await client.query("create table a (id int); create table b (id int)")),
    check: async (client, directory) => {
      const told = await states(client, directory);
      expect([
        ["pending", "pending", "pending"],
        ["applied", "applied", "pending"],
      ]).toContainEqual(told);
    },
    async again(client, directory) {
      if ((await states(client, directory))[0] === "applied") return;
      await applyMigrations(client, await planBaseline(client, { directory, to: "0002" }));
    },
    async settled(client, directory) {
      await apply(client, directory);
      await tellsTables(client, directory);
      expect(await tables(client)).toEqual(["a", "b", "c"]);
    },
  },
  {
    name: "repair",
    files: two,
    async prepare(client, workspace) {
      await apply(client, workspace.directory);
      await client.query("create index b_id on b (id)");
      await client.query("update pg_index set indisvalid = false where indexrelid = 'b_id'::regclass");
      await workspace.write({ "0001_a.sql": two["0001_a.sql"].replace("id int", "id  int") });
      await workspace.remove("0003_c.sql");
    },
    again: async (client, directory) => {
      const plan = await planRepair(client, { directory });
      await applyRepair(client, plan, { chosen: plan.actions.map(({ id }) => id) });
    },
    async settled(client, directory) {
      expect((await migrationStatus(client, { directory })).findings).toEqual([]);
      expect((await planRepair(client, { directory })).actions).toEqual([]);
      expect(await states(client, directory)).toEqual(["applied", "applied"]);
    },
  },
  {
    name: "tenants",
    files: {
      "0001_t.sql": "create schema ${tenant};\ncreate table ${tenant}.t (n int);\ninsert into ${tenant}.t values (1);",
      "0002_i.sql": "create index concurrently t_n on ${tenant}.t (n);\ninsert into ${tenant}.t values (2);",
    },
    prepare: () => Promise.resolve(),
    again: async (client, directory) => {
      const report = await migrateTenants({
        directory,
        parallel: 1,
        tenants: ["a", "b", "c"].map((name) => ({
          name,
          placeholders: { tenant: `tenant_${name}` },
          historySchema: `history_${name}`,
          connect: () => Promise.resolve({ db: client, end: () => Promise.resolve() }),
        })),
      });
      expect(
        report.runs.filter(({ outcome }) => outcome === "failed").map(({ tenant, message }) => [tenant, message]),
      ).toEqual([]);
    },
    async settled(client) {
      for (const name of ["a", "b", "c"]) {
        const { rows: marks } = await client.query(`select array_agg(n order by n) as n from tenant_${name}.t`);
        expect(marks).toEqual([{ n: [1, 2] }]);
        const { rows: index } = await client.query(
          `select indisvalid from pg_index where indrelid = 'tenant_${name}.t'::regclass`,
        );
        expect(index).toEqual([{ indisvalid: true }]);
      }
    },
  },
];

/** Each job of this package that writes, but for plain `up`, which has proofs of its own. */
export const crashJobs: readonly CrashJob[] = [...onlineJobs, ...plainJobs];

interface Kill {
  readonly at: number;
  readonly victim: "runner" | "server";
  readonly cluster: TestCluster;
}

/** @returns whether it came as far as the query to be killed after */
function runChild(job: string, url: string, directory: string, { at, victim, cluster }: Kill): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const flags = ["--conditions=@db/source", "--no-warnings", scenario, job, url, directory, String(at), victim];
    const child = spawn(process.execPath, flags, { stdio: ["ignore", "pipe", "pipe"] });
    let [output, errors] = ["", ""];
    let killed: Promise<void> | undefined;
    child.stderr.on("data", (text: Buffer) => (errors += text.toString()));
    child.stdout.on("data", (text: Buffer) => {
      output += text.toString();
      if (output.startsWith("sent")) killed ??= cluster.primary.kill();
    });
    child.once("error", reject);
    child.once("close", (code, signal) => {
      if (killed) void killed.then(() => cluster.primary.start()).then(() => resolve(true), reject);
      else if (signal === "SIGKILL") resolve(true);
      else if (code === 0) resolve(false);
      else reject(new Error(`${job} ended with ${code}:\n${errors}`));
    });
  });
}

/**
 * Kills the runner of a job, or its server, right after its first query, then in a new database after its `every`-th next,
 * and so on to its end. After each the job is done again, and must end as if it had never been killed.
 * @returns how often it was killed
 */
export async function killJob(
  cluster: TestCluster,
  job: CrashJob,
  { every, victim }: { readonly every: number; readonly victim: Kill["victim"] },
): Promise<number> {
  let kills = 0;
  for (let at = 1; ; at += every) {
    const { url } = await cluster.createDatabase();
    await using workspace = await makeWorkspace(job.files);
    const { directory } = workspace;
    await withClient(url, (client) => job.prepare(client, workspace));
    const killed = await runChild(job.name, url, directory, { at, victim, cluster });
    await withClient(url, async (client) => {
      while ((await client.query<{ n: number }>(othersSql)).rows[0]?.n !== 0);
      await job.check?.(client, directory);
      await job.again(client, directory);
      await job.settled(client, directory);
    });
    if (!killed) return kills;
    kills++;
  }
}

const othersSql = /* sql */ `
  select count(*)::int as n from pg_stat_activity
   where pid <> pg_backend_pid() and datname = current_database() and backend_type = 'client backend'`;

async function withClient(url: string, use: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await use(client);
  } finally {
    await client.end();
  }
}
