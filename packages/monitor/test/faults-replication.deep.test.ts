import type { TestCluster } from "@db/testkit";
import { type Client, Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type FaultBench, startFaultBench, walBytes } from "./fault-bench.ts";
import { expectFault, type Fault } from "./fault.ts";

let bench: FaultBench;
let cluster: TestCluster<1>;
let own: Pool;
let replicaPool: Pool;
let client: Client;

beforeAll(async () => {
  bench = await startFaultBench();
  ({ cluster, own, replicaPool, client } = bench);
});
afterAll(() => bench?.[Symbol.asyncDispose]());

const fires = (fault: Fault): Promise<void> => bench.fires(fault);

describe("slots and standbys", () => {
  const slot = {
    labels: { slot_name: "unused" },
    mend: () => client.query("select pg_drop_replication_slot('unused')"),
  };
  const makeSlot = "select pg_create_physical_replication_slot('unused', true)";

  test("PgSlotInactive", () => fires({ rule: "PgSlotInactive", ...slot, cause: () => client.query(makeSlot) }));

  test("PgSlotRetainsWal", () =>
    fires({
      rule: "PgSlotRetainsWal",
      thresholds: { warn: 10e6 },
      ...slot,
      cause: async () => {
        await client.query(makeSlot);
        await client.query(walBytes(20));
      },
    }));

  test("PgSlotNearlyLost", async () => {
    const { mend } = slot;
    let made = false;
    await fires({
      rule: "PgSlotNearlyLost",
      ...slot,
      again: true,
      cause: async () => {
        if (!made) await client.query(makeSlot);
        made = true;
        await client.query(walBytes(8));
      },
      mend,
    });
  });

  test("PgSlotLost", async () => {
    let made = false;
    await fires({
      rule: "PgSlotLost",
      ...slot,
      again: true,
      cause: async () => {
        if (!made) await client.query(makeSlot);
        made = true;
        await client.query(walBytes(40));
        await client.query("checkpoint");
      },
    });
  });

  const replicas = () => [{ name: "replica-1", db: replicaPool }];

  test("PgReplicationLag", async () => {
    const [replica] = cluster.replicas;
    await replica.reconfigure({ recovery_min_apply_delay: "2s" });
    await expectFault(
      { db: own, replicas: replicas() },
      {
        rule: "PgReplicationLag",
        thresholds: { warn: 0.5 },
        again: true,
        cause: async () => {
          // Only a commit is put off; what is written in between waits behind it.
          await client.query("insert into kept values (-2) on conflict (id) do update set v = 'again'");
          await client.query(walBytes(4));
        },
        mend: () => replica.reconfigure({ recovery_min_apply_delay: "0" }),
      },
    );
  });

  for (const [rule, server] of [
    ["PgStandbyMissing", "primary"],
    ["PgDown", "replica-1"],
  ] as const) {
    test(rule, async () => {
      const [replica] = cluster.replicas;
      await expectFault(
        { db: own, replicas: replicas() },
        { rule, server, cause: () => replica.stop(), mend: () => replica.start() },
      );
    });
  }

  test("PgStandbyDisconnected", async () => {
    const [replica] = cluster.replicas;
    const { rows } = await client.query("select 1 from pg_stat_replication");
    expect(rows).toHaveLength(1);
    const standby = await replica.connect();
    const { rows: before } = await standby.query<{ conninfo: string }>(
      "select current_setting('primary_conninfo') as conninfo",
    );
    const conninfo = before[0]!.conninfo;
    await standby.end();
    await expectFault(
      { db: own, replicas: replicas() },
      {
        rule: "PgStandbyDisconnected",
        server: "replica-1",
        cause: () => replica.reconfigure({ primary_conninfo: "host=127.0.0.1 port=1" }),
        mend: () => replica.reconfigure({ primary_conninfo: conninfo }),
      },
    );
  });
});

describe("subscriptions", () => {
  test("PgSubscriptionDown and PgSubscriptionErrors", async () => {
    const { name, url } = await cluster.createDatabase();
    const subscriber = await cluster.connect(name);
    await client.query("create table shared (id int primary key)");
    await subscriber.query("create table shared (id int primary key)");
    await client.query("create publication feed for table shared");
    await client.query("select pg_create_logical_replication_slot('feed', 'pgoutput')");
    await subscriber.query(
      `create subscription feed connection '${cluster.primary.url}' publication feed
         with (create_slot = false, slot_name = 'feed', copy_data = false)`,
    );
    const pool = new Pool({ connectionString: url, max: 1, application_name: "db-monitor" });
    try {
      await expect
        .poll(
          async () =>
            (await client.query("select active from pg_replication_slots where slot_name = 'feed'")).rows[0]?.active,
          { timeout: 30_000 },
        )
        .toBe(true);
      await expectFault(
        { db: pool },
        {
          rule: "PgSubscriptionDown",
          labels: { subname: "feed" },
          cause: () => subscriber.query("alter subscription feed disable"),
          mend: () => subscriber.query("alter subscription feed enable"),
        },
      );
      await expectFault(
        { db: pool },
        {
          rule: "PgSubscriptionErrors",
          labels: { subname: "feed" },
          cause: async () => {
            await subscriber.query("insert into shared values (1)");
            await client.query("insert into shared values (1)");
          },
        },
      );
    } finally {
      await subscriber.query("alter subscription feed disable");
      await subscriber.query("alter subscription feed set (slot_name = none)");
      await subscriber.query("drop subscription feed");
      await Promise.all([pool.end(), subscriber.end()]);
    }
  });
});
