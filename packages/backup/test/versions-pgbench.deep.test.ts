import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { promisify } from "node:util";
import { createBackup, createWalReceiver, openRepository, runRestoreDrill } from "@db/backup";
import type { Queryable } from "@db/core";
import { startCluster } from "@db/testkit";
import { describe, expect, test } from "vitest";
import { currentLsn } from "./ledger.ts";
import { restoredOwner, scratchDirectory, startRestored } from "./restored-cluster.ts";

// pgbench of any version runs against all of them; it comes with the server's client programs.
const pgbench = await promisify(execFile)("pgbench", ["--version"]).then(
  () => true,
  () => false,
);
if (!pgbench) console.warn("the version matrix under pgbench is left out: there is no pgbench on this machine");

const balancesSql = /* sql */ `
  select (select sum(abalance) from pgbench_accounts)::text as accounts,
         (select sum(bbalance) from pgbench_branches)::text as branches,
         (select sum(tbalance) from pgbench_tellers)::text as tellers,
         (select coalesce(sum(delta), 0) from pgbench_history)::text as history`;

const indexesSql = /* sql */ `
  select count(bt_index_check(c.oid, true))::int as checked
    from pg_class c join pg_index i on i.indexrelid = c.oid join pg_am a on a.oid = c.relam
   where a.amname = 'btree' and c.relpersistence = 'p' and i.indisready and i.indisvalid`;

const heapsSql = /* sql */ `
  select count(*)::int as broken
    from pg_class c cross join lateral verify_heapam(c.oid)
   where c.relkind in ('r', 'm', 't') and c.relpersistence = 'p'`;

/** The invariants of pgbench, every B-tree against its table, and from 14 on every table's pages. */
async function checkRestored(db: Queryable, version: number): Promise<void> {
  const [balances] = (await db.query<Record<string, string>>(balancesSql)).rows;
  expect(new Set(Object.values(balances!)).size).toBe(1);
  await db.query("create extension if not exists amcheck");
  const { rows } = await db.query<{ checked: number }>(indexesSql);
  expect(rows[0]!.checked).toBeGreaterThan(50);
  if (version >= 14) await expect(db.query(heapsSql)).resolves.toMatchObject({ rows: [{ broken: 0 }] });
}

describe.skipIf(!pgbench).each([12, 13, 14, 15, 16, 17, 18])("PostgreSQL %i under pgbench", (version) => {
  test("is restored to its last commit: balances agree, all tables are equal, amcheck is clean", async () => {
    await using cluster = await startCluster({ version, initdbArguments: ["--wal-segsize=1"] });
    await using scratch = await scratchDirectory();
    const { url } = cluster.primary;
    const client = await cluster.connect();
    await client.query("create extension amcheck");
    await promisify(execFile)("pgbench", ["--initialize", "--quiet", "--scale=2", url]);
    const repository = await openRepository(join(scratch.path, "repository"), { encryptionKey: "0f".repeat(32) });
    const spoolDirectory = join(scratch.path, "spool");
    const receiver = createWalReceiver({ url, repository, slot: "matrix", spoolDirectory, tailIntervalMs: 100 });
    await receiver.start(AbortSignal.timeout(60_000));
    const load = spawn("pgbench", ["--client=4", "--time=600", "--no-vacuum", url], { stdio: "ignore" });
    const ended = once(load, "exit");
    const busy = async (): Promise<number> =>
      (await client.query<{ n: number }>("select count(*)::int as n from pgbench_history")).rows[0]!.n;
    await expect.poll(busy, { timeout: 60_000 }).toBeGreaterThan(100);
    const before = await busy();
    const backup = await createBackup({ url, repository });
    expect(await busy()).toBeGreaterThan(before);
    load.kill("SIGINT");
    await ended;
    // A transaction pgbench left open ends with its session.
    const others = "select count(*)::int as n from pg_stat_activity where application_name = 'pgbench'";
    await expect.poll(async () => (await client.query<{ n: number }>(others)).rows[0]!.n, { timeout: 30_000 }).toBe(0);
    await receiver.reached(await currentLsn(client), AbortSignal.timeout(60_000));
    await receiver.stop();
    const report = await runRestoreDrill({
      repository,
      label: backup.label,
      target: { type: "latest" },
      startCluster: startRestored,
      owner: await restoredOwner(),
      compareWith: client,
      verify: async (db) => {
        await checkRestored(db, version);
        return [];
      },
    });
    await client.end();
    expect(report.findings.filter(({ severity }) => severity === "critical")).toEqual([]);
    expect(report.comparison).toMatchObject({ equal: true });
    expect(report.ok).toBe(true);
  });
});
