import { open } from "node:fs/promises";
import { join } from "node:path";
import type { TestCluster } from "@db/testkit";
import type { Client, Pool } from "pg";
import { afterAll, beforeAll, describe, test } from "vitest";
import { type FaultBench, flush, startFaultBench, walBytes } from "./fault-bench.ts";
import { expectFault, type Fault } from "./fault.ts";

let bench: FaultBench;
let cluster: TestCluster<1>;
let own: Pool;
let client: Client;
let other: Client;

beforeAll(async () => {
  bench = await startFaultBench();
  ({ cluster, own, client, other } = bench);
});
afterAll(() => bench?.[Symbol.asyncDispose]());

const fires = (fault: Fault): Promise<void> => bench.fires(fault);

describe("settings and the server itself", () => {
  test("PgPendingRestart", () =>
    fires({
      rule: "PgPendingRestart",
      cause: async () => {
        await client.query("alter system set max_connections = 101");
        await client.query("select pg_reload_conf()");
      },
      mend: async () => {
        await client.query("alter system reset max_connections");
        await client.query("select pg_reload_conf()");
      },
    }));

  test("PgConfigChanged", () =>
    fires({
      rule: "PgConfigChanged",
      cause: async () => {
        await client.query("alter system set random_page_cost = 1.5");
        await client.query("select pg_reload_conf()");
      },
    }));

  for (const rule of ["CollectorFailing", "CollectorStale"]) {
    test(rule, async () => {
      const shift = { ms: 0 };
      await client.query("create sequence if not exists held");
      await expectFault(
        { db: own },
        {
          rule,
          labels: { collector: "sequences" },
          again: rule === "CollectorStale",
          cause: async () => {
            shift.ms += 3_600_000;
            if (!(await isLocked())) await client.query("begin; alter sequence held restart with 5");
          },
          mend: () => client.query("rollback"),
        },
        shift,
      );
    });
  }

  async function isLocked(): Promise<boolean> {
    const { rows } = await other.query(
      "select from pg_locks where relation = 'held'::regclass and mode = 'ShareRowExclusiveLock'",
    );
    return rows.length > 0;
  }
});

describe("the archive", () => {
  for (const [rule, thresholds] of [
    ["PgArchiveFailing", undefined],
    ["PgArchiveBacklog", { warn: 2 }],
  ] as const) {
    test(rule, () =>
      fires({
        rule,
        ...(thresholds && { thresholds }),
        cause: async () => {
          await client.query("alter system set archive_command = 'false'");
          await client.query("select pg_reload_conf()");
          for (let i = 0; i < 5; i++) {
            await client.query(walBytes(1));
            await client.query("select pg_switch_wal()");
          }
        },
        mend: async () => {
          await client.query("alter system reset archive_command");
          await client.query("select pg_reload_conf()");
          await client.query("select pg_switch_wal()");
        },
      }),
    );
  }
});

describe("the server is restarted", () => {
  const reconnect = async (): Promise<void> => {
    await bench.reconnect();
    ({ client, other } = bench);
  };

  test("PgChecksumFailure", async () => {
    await client.query("create table damaged as select g as id from generate_series(1, 1000) g");
    await client.query("checkpoint");
    const { rows } = await client.query<{ path: string }>("select pg_relation_filepath('damaged') as path");
    await cluster.primary.stop();
    const file = await open(join(cluster.primary.dataDirectory, rows[0]!.path), "r+");
    await file.write(Buffer.from("rot"), 0, 3, 2_000);
    await file.close();
    await cluster.primary.start();
    await reconnect();
    await fires({
      rule: "PgChecksumFailure",
      labels: { datname: "postgres" },
      again: true,
      cause: async () => {
        await client.query("select count(*) from damaged").catch(() => undefined);
        await client.query(flush);
      },
    });
    await client.query("drop table damaged");
  });

  test("PgRestarted", async () => {
    const shift = { ms: 0 };
    const { rows } = await client.query<{ age: number }>(
      "select extract(epoch from clock_timestamp() - pg_postmaster_start_time())::float8 as age",
    );
    await expectFault(
      { db: own },
      {
        rule: "PgRestarted",
        thresholds: { info: rows[0]!.age },
        cause: async () => {
          await cluster.primary.restart();
          await reconnect();
        },
      },
      shift,
    );
  });
});
