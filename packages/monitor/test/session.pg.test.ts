import { systemClock } from "@db/core";
import { aggregate, createMonitor, metric, samplesOf, type Snapshot, topQueries, valueOf } from "@db/monitor";
import { startCluster, type TestCluster } from "@db/testkit";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

let cluster: TestCluster<0>;
let own: Client;

beforeAll(async () => {
  cluster = await startCluster({ settings: { shared_preload_libraries: "pg_stat_statements" } });
  own = new Client({ connectionString: cluster.primary.url, application_name: "db-monitor" });
  await own.connect();
  await own.query("create extension pg_stat_statements");
  await own.query("create table busy as select g as id from generate_series(1, 100) g");
});

afterAll(async () => {
  await own?.end();
  await cluster?.stop();
});

const errors = (snapshot: Snapshot): readonly string[] =>
  snapshot.servers.flatMap(({ error, blocks }) => [error ?? [], blocks.map((block) => block.error ?? [])].flat(2));
const prepared = async (): Promise<number> =>
  (await own.query("select from pg_prepared_statements where name like 'db_monitor_%'")).rows.length;

describe("a session that comes under the monitor's name", () => {
  test("keeps its limits and its plans, and a second monitor uses them", async () => {
    expect(errors(await createMonitor({ db: own }).collect())).toEqual([]);
    const once = await prepared();
    expect(once).toBeGreaterThan(20);
    expect((await own.query("show lock_timeout")).rows).toEqual([{ lock_timeout: "50ms" }]);
    expect(errors(await createMonitor({ db: own }).collect())).toEqual([]);
    expect(await prepared()).toBe(once);
  });

  test("takes other limits at once", async () => {
    await createMonitor({ db: own, lockTimeoutMs: 70 }).collect();
    expect((await own.query("show lock_timeout")).rows).toEqual([{ lock_timeout: "70ms" }]);
  });

  test("is limited and planned for anew after discard all", async () => {
    const monitor = createMonitor({ db: own });
    await monitor.collect();
    await own.query("discard all");
    expect(errors(await monitor.collect({ force: true }))).toEqual([]);
    expect(await prepared()).toBeGreaterThan(20);
    expect((await own.query("show lock_timeout")).rows).toEqual([{ lock_timeout: "50ms" }]);
  });

  test("is told from the application in the ranking of statements", async () => {
    const queries = topQueries(await createMonitor({ db: own }).collect({ force: true }), { limit: 100 });
    expect(queries.filter(({ text }) => text?.includes("pg_stat_activity"))).toEqual([]);
    expect(queries.find(({ queryId }) => queryId === "monitor")?.calls).toBeGreaterThan(20);
  });
});

test("a session of others is left without plans", async () => {
  const other = new Client({ connectionString: cluster.primary.url });
  await other.connect();
  await createMonitor({ db: other }).collect();
  const { rows } = await other.query("select name from pg_prepared_statements");
  await other.end();
  expect(rows).toEqual([]);
});

describe("rankings", () => {
  test("without a limit give every thing a series of its own and leave nothing over", async () => {
    const limits = { tables: Infinity, statements: Infinity, indexes: Infinity };
    const monitor = createMonitor({ db: own, limits, detail: "full", skip: ["catalog"] });
    const snapshot = await monitor.collect();
    expect(errors(snapshot)).toEqual([]);
    expect(valueOf(snapshot, "pg_stat_user_tables_n_tup_ins", { relname: "other" })).toBe(0);
    expect(valueOf(snapshot, "pg_stat_statements_calls_total", { queryid: "other" })).toBe(0);
    expect(valueOf(snapshot, "pg_stat_statements_max_seconds", {})).toBeGreaterThan(0);
    expect(snapshot.servers[0]?.blocks.some(({ collector }) => collector === "catalog")).toBe(false);
  });

  test("with and without a limit add up to the same", async () => {
    await own.query("set default_transaction_read_only = off");
    await own.query("create table idle (id int)");
    // The session that wrote the rows tells of them once a second, unless it is asked.
    await own.query("select pg_stat_force_next_flush()");
    const sumOf = async (limit: number): Promise<number | undefined> =>
      valueOf(
        await createMonitor({ db: own, limits: { tables: limit } }).collect(),
        "pg_stat_user_tables_n_tup_ins",
        {},
      );
    expect(await sumOf(1)).toBe(100);
    expect(await sumOf(Infinity)).toBe(100);
  });
});

test("a collector to skip that does not exist is refused", () => {
  expect(() => createMonitor({ db: own, skip: ["nope"] })).toThrow(
    'skip names the collector "nope", which does not exist',
  );
});

describe("a session that was the monitor's own", () => {
  /** What goes to the server while `use` runs, of the monitor's session. */
  const statementsOf = async (use: () => Promise<unknown>): Promise<readonly string[]> => {
    const seen = vi.spyOn(own, "query");
    try {
      await use();
      return seen.mock.calls.map(([text]) => text);
    } finally {
      seen.mockRestore();
    }
  };

  test("is asked everything in one statement, and whether it still is", async () => {
    let now = Date.now();
    const monitor = createMonitor({ db: own, clock: { ...systemClock, now: () => now } });
    const sum = (metric: string): number =>
      samplesOf(monitor.snapshot(), metric).reduce((all, { value }) => all + value, 0);
    await monitor.collect();
    await monitor.collect();
    const [sessions, locks] = [sum("pg_stat_activity_count"), sum("pg_locks_count")];
    const client = await cluster.connect();
    await client.query("begin; lock table busy in access share mode");
    const statements = await statementsOf(() => monitor.collect());
    expect(statements).toHaveLength(1);
    expect(statements[0]).toMatch(/^execute db_monitor_/);
    expect(sum("pg_stat_activity_count")).toBe(sessions + 1);
    // Locks are looked at every five seconds at most.
    expect(sum("pg_locks_count")).toBe(locks);
    now += 5_000;
    await monitor.collect();
    expect(sum("pg_locks_count")).toBeGreaterThan(locks);
    await client.end();
  });

  test("is limited again when somebody took its limits", async () => {
    const monitor = createMonitor({ db: own });
    await monitor.collect();
    await own.query("reset all");
    expect((await statementsOf(() => monitor.collect())).length).toBeGreaterThan(2);
    expect((await own.query("show lock_timeout")).rows).toEqual([{ lock_timeout: "50ms" }]);
    expect(errors(monitor.snapshot())).toEqual([]);
    expect(await statementsOf(() => monitor.collect())).toHaveLength(1);
  });

  test("is looked at anew under another name", async () => {
    const monitor = createMonitor({ db: own });
    await monitor.collect();
    await own.query("set application_name = 'somebody'");
    await monitor.collect();
    expect(errors(monitor.snapshot())).toEqual([]);
    expect((await own.query("show application_name")).rows).toEqual([{ application_name: "somebody" }]);
    await own.query("set application_name = 'db-monitor'");
  });
});

test("what there is no value for has no series, and shared objects are no database", async () => {
  const snapshot = await createMonitor({ db: own }).collect();
  // Nothing was ever archived here.
  expect(samplesOf(snapshot, "pg_stat_archiver_last_archive_age")).toEqual([]);
  expect(valueOf(snapshot, "pg_stat_archiver_archived_count", { server: "primary" })).toBe(0);
  const databases = new Set(samplesOf(snapshot, "pg_locks_count").map(({ labels }) => labels["datname"]));
  expect([...databases].toSorted()).toEqual(["postgres", "template0", "template1"]);
});

describe("what lasts a moment", () => {
  test("is counted, and looked into once it has lasted", async () => {
    const monitor = createMonitor({ db: own });
    const [holder, waiter] = [await cluster.connect(), await cluster.connect()];
    const seen = async (): Promise<readonly (number | undefined)[]> => {
      const snapshot = await monitor.collect();
      const { sessions, blocking } = snapshot.servers[0]!.facts;
      const server = { server: "primary" };
      return [
        sessions?.length,
        blocking?.length,
        valueOf(snapshot, "pg_stat_activity_blocked_count", server),
        valueOf(snapshot, "pg_stat_activity_max_lock_wait_seconds", server),
        valueOf(snapshot, "pg_stat_activity_max_query_seconds", server),
      ];
    };
    await seen();
    await holder.query("begin; lock table busy");
    const waiting = waiter.query("begin; lock table busy");
    waiting.catch(() => undefined);
    // The server's own clock says whether it is a moment: on a machine that stood still it is none.
    const { rows } = await own.query<{ waits: boolean; seconds: number }>(
      `select count(*) filter (where wait_event_type = 'Lock') = 1 as waits, extract(epoch from max(clock_timestamp() - xact_start))::float8 as seconds
         from pg_stat_activity where pid <> pg_backend_pid() and backend_type = 'client backend' and state <> 'idle'`,
    );
    const [sessions, blocking, , wait] = await seen();
    if (rows[0]!.seconds < 0.05) expect([sessions, blocking, wait]).toEqual([0, 0, 0]);
    await vi.waitFor(
      async () => {
        const [open, tree, blocked, longest, running] = await seen();
        expect([open, tree, blocked]).toEqual([2, 2, 1]);
        expect(longest).toBeGreaterThanOrEqual(0.1);
        expect(running).toBeGreaterThanOrEqual(0.1);
      },
      { timeout: 20_000, interval: 20 },
    );
    await Promise.all([holder.end(), waiter.end().catch(() => undefined)]);
  });
});

describe("a command that tells how far it is", () => {
  test("has a series once it has run for a second, and none when it is over", async () => {
    const builder = await cluster.connect();
    await builder.query(`create function slow(i int) returns int immutable language plpgsql as
      $$ begin perform pg_sleep(0.1); return i; end $$`);
    const monitor = createMonitor({ db: own });
    const series = async (): Promise<readonly string[]> =>
      samplesOf(await monitor.collect({ force: true }), "pg_stat_progress_create_index_ratio").map(
        ({ labels }) => labels["phase"] ?? "",
      );
    expect(await series()).toEqual([]);
    const building = builder.query("create index on busy (slow(id))").catch(({ code }) => code);
    await vi.waitFor(async () => expect(await series()).toEqual(["building index: scanning table"]), {
      timeout: 20_000,
      interval: 100,
    });
    await own.query("select pg_cancel_backend(pid) from pg_stat_activity where query like 'create index on busy%'");
    await expect(building).resolves.toBe("57014");
    expect(await series()).toEqual([]);
    await builder.end();
  });
});

describe("rules", () => {
  test("are evaluated once an interval, however often the server is scraped, and always when forced", async () => {
    let now = Date.now();
    const monitor = createMonitor({
      db: own,
      clock: { ...systemClock, now: () => now },
      intervalMs: 10_000,
      rules: [
        {
          name: "Sessions",
          finding: "SESSIONS",
          expression: aggregate("sum", metric("pg_stat_activity_count")),
          fires: "above",
          levels: [{ severity: "info", threshold: 0 }],
          title: "{value} sessions",
          hint: "none",
        },
      ],
    });
    const sessions = (): number | undefined => monitor.alerts()[0]?.value;
    await monitor.collect();
    const before = sessions() ?? 0;
    expect(before).toBeGreaterThan(0);
    const one = await cluster.connect();
    now += 8_999;
    await monitor.collect();
    expect(sessions()).toBe(before);
    now += 1;
    await monitor.collect();
    expect(sessions()).toBe(before + 1);
    const other = await cluster.connect();
    await monitor.collect({ force: true });
    expect(sessions()).toBe(before + 2);
    await Promise.all([one.end(), other.end()]);
  });
});
