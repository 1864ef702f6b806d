import { createMonitor, metricsFor, type Snapshot, valueOf } from "@db/monitor";
import { startCluster } from "@db/testkit";
import { Client } from "pg";
import { describe, expect, test, vi } from "vitest";
import { elsewhere } from "./coverage.ts";
import { prepareScenario, scenarioSettings } from "./scenario.ts";
import type { ValueCheck } from "./value-check.ts";
import { unchecked, valueChecks } from "./value-checks.ts";

/** Asked of a server by itself: where, which metric, which series, what it is. */
interface Told {
  readonly server: string;
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

describe.each([12, 13, 14, 15, 16, 17, 18])("PostgreSQL %i", (version) => {
  test("gives the values that independent queries give", async () => {
    await using cluster = await startCluster({
      version,
      replicas: 1,
      archive: true,
      settings: scenarioSettings(version),
    });
    await using clients = new AsyncDisposableStack();
    const connect = async (url: string, name?: string): Promise<Client> => {
      const client = new Client({ connectionString: url, ...(name !== undefined && { application_name: name }) });
      await client.connect();
      clients.defer(() => client.end());
      return client;
    };
    const { url } = cluster.primary;
    const asking = { primary: await connect(url), "replica-1": await connect(cluster.replicas[0].url) };
    await prepareScenario(cluster, asking.primary);
    // Up to 14, what the checkpointer counts arrives some time after it.
    const counted =
      version >= 17
        ? "select num_requested > 0 as it from pg_stat_checkpointer"
        : "select checkpoints_req > 0 as it from pg_stat_bgwriter";
    const watching = await connect(url);
    await watching.query("checkpoint");
    await expect.poll(async () => (await watching.query<{ it: boolean }>(counted)).rows[0]?.it).toBe(true);
    await holdStill(asking, await connect(url), await connect(url));
    const monitor = createMonitor({
      db: await connect(url, "db-monitor"),
      replicas: [{ name: "replica-1", db: await connect(cluster.replicas[0].url, "db-monitor") }],
      limits: { tables: Infinity, indexes: Infinity, statements: Infinity },
      detail: "full",
    });
    const checks = valueChecks(version);
    // Once for nothing: what is prepared and entered on the first time is there the next.
    await ask(checks, asking);
    await monitor.collect({ force: true });

    const before = await ask(checks, asking);
    const snapshot = await monitor.collect({ force: true });
    const after = await ask(checks, asking);
    expect(snapshot.servers.flatMap(({ blocks }) => blocks.flatMap(({ error }) => error ?? []))).toEqual([]);
    expect(outside(before, after, snapshot)).toEqual([]);

    const compared = new Set(before.map(({ metric }) => metric));
    const left = [...metricsFor(version, "primary"), ...metricsFor(version, "standby")]
      .filter(({ collector }) => !elsewhere.has(collector) && collector !== "self" && collector !== "progress")
      .filter(({ name }) => !compared.has(name) && !unchecked.has(name));
    expect(left.map(({ name }) => name)).toEqual([]);
    const of = (metric: string, server = "primary"): number | undefined => valueOf(snapshot, metric, { server });
    // That nothing moves must not be why everything agrees.
    expect(of("pg_stat_replication_pg_wal_lsn_diff")).toBeGreaterThan(0);
    expect(of("pg_replication_replay_delay_bytes", "replica-1")).toBeGreaterThan(0);
    expect(of("pg_stat_bgwriter_checkpoints_req_total")).toBeGreaterThan(0);
  });
});

/** A session idle in its transaction with locks, one that waits for it, a checkpoint, and a standby that has received what it does not replay. */
async function holdStill(
  { primary, "replica-1": replica }: Readonly<Record<"primary" | "replica-1", Client>>,
  holder: Client,
  waiter: Client,
): Promise<void> {
  await primary.query("vacuum kept");
  // Up to 14 a collector process is told of it, some time later.
  await eventually(primary, "select from pg_stat_user_tables where relname = 'kept' and last_vacuum is not null");
  await primary.query("checkpoint");
  const caughtUp = async (position: "receive" | "replay"): Promise<void> => {
    const { rows } = await primary.query<{ lsn: string }>("select pg_current_wal_flush_lsn() as lsn");
    await vi.waitFor(
      async () => {
        const answer = await replica.query(`select pg_last_wal_${position}_lsn() >= $1 as done`, [rows[0]?.lsn]);
        if (answer.rows[0].done !== true) throw new Error(`the standby has not come to ${position} ${rows[0]?.lsn}`);
      },
      { timeout: 20_000, interval: 20 },
    );
  };
  await caughtUp("replay");
  await replica.query("select pg_wal_replay_pause()");
  await primary.query("select pg_logical_emit_message(true, 'fill', repeat('x', 100000))");
  await caughtUp("receive");
  await holder.query("begin; lock table kept in share row exclusive mode; lock table narrow in row share mode");
  // Ended with its session.
  waiter.query("begin; lock table kept in row exclusive mode").catch(() => undefined);
  await eventually(primary, "select from pg_locks where not granted");
}

/** Waits until a query gives a row. */
async function eventually(client: Client, sql: string): Promise<void> {
  await vi.waitFor(
    async () => {
      const { rows } = await client.query(sql);
      if (rows.length === 0) throw new Error(`no row yet: ${sql}`);
    },
    { timeout: 20_000, interval: 20 },
  );
}

async function ask(
  checks: readonly ValueCheck[],
  asking: Readonly<Record<"primary" | "replica-1", Client>>,
): Promise<readonly Told[]> {
  const told: Told[] = [];
  for (const { labels, from, values, on } of checks) {
    const columns = Object.values(labels).map((sql, i) => `(${sql})::text as l${i}`);
    const metrics = Object.entries(values);
    for (const server of on === undefined ? (["primary", "replica-1"] as const) : [on]) {
      const wanted = metrics.map(([, sql], i) => `(${sql})::float8 as v${i}`);
      const { rows } = await asking[server].query(`select ${[...columns, ...wanted].join(", ")} from ${from}`);
      for (const row of rows) {
        const series = Object.fromEntries(Object.keys(labels).map((name, i) => [name, String(row[`l${i}`] ?? "")]));
        for (const [i, [metric]] of metrics.entries())
          told.push({ server, metric, labels: series, value: row[`v${i}`] });
      }
    }
  }
  return told;
}

/** Series whose value is not between what was asked before and after; equal to both where nothing moved. */
function outside(before: readonly Told[], after: readonly Told[], snapshot: Snapshot): readonly string[] {
  const keyOf = ({ server, metric, labels }: Told): string => `${server} ${metric} ${JSON.stringify(labels)}`;
  const later = new Map(after.map((told) => [keyOf(told), told.value]));
  return before.flatMap((told) => {
    const bounds = [told.value, later.get(keyOf(told)) ?? told.value];
    const value = valueOf(snapshot, told.metric, { server: told.server, ...told.labels });
    // A series that is always 0 may be left out.
    const given = value ?? 0;
    const slack = 1e-6 + 1e-12 * Math.abs(given);
    const fits = given >= Math.min(...bounds) - slack && given <= Math.max(...bounds) + slack;
    return fits ? [] : [`${keyOf(told)}: ${value} is not in ${bounds.join("..")}`];
  });
}
