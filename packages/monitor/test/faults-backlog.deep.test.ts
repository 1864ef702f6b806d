import type { Client, Pool } from "pg";
import { afterAll, beforeAll, describe, test } from "vitest";
import { type FaultBench, flush, spendXids, startFaultBench } from "./fault-bench.ts";
import { expectFault, type Fault } from "./fault.ts";

let bench: FaultBench;
let own: Pool;
let client: Client;
let other: Client;

beforeAll(async () => {
  bench = await startFaultBench();
  ({ own, client, other } = bench);
});
afterAll(() => bench?.[Symbol.asyncDispose]());

const fires = (fault: Fault): Promise<void> => bench.fires(fault);

describe("what piles up", () => {
  test("PgXidAgeHigh", () =>
    fires({
      rule: "PgXidAgeHigh",
      thresholds: { warn: 0.1 },
      labels: { datname: "postgres" },
      cause: () => client.query(spendXids(12_000)),
      mend: () => client.query("vacuum (freeze)"),
    }));

  test("PgXidAgeCritical", () =>
    fires({
      rule: "PgXidAgeCritical",
      thresholds: { page: 10_000 },
      labels: { datname: "postgres" },
      cause: () => client.query(spendXids(12_000)),
      mend: () => client.query("vacuum (freeze)"),
    }));

  for (const [rule, thresholds] of [
    ["PgMxidAgeHigh", { warn: 5 / 400_000_000 }],
    ["PgMxidAgeCritical", { page: 5 }],
  ] as const) {
    test(rule, () =>
      fires({
        rule,
        thresholds,
        labels: { datname: "postgres" },
        cause: async () => {
          for (let i = 0; i < 10; i++) {
            await client.query("begin; select * from kept where id = 3 for key share");
            await other.query("begin; select * from kept where id = 3 for key share");
            await client.query("commit");
            await other.query("commit");
          }
        },
        mend: () => client.query("vacuum (freeze)"),
      }),
    );
  }

  test("PgXminHorizonHeld", () =>
    fires({
      rule: "PgXminHorizonHeld",
      thresholds: { warn: 500 },
      labels: { holder: "activity" },
      cause: async () => {
        await other.query("begin isolation level repeatable read; select 1");
        await client.query(spendXids(1_000));
      },
      mend: () => other.query("commit"),
    }));

  test("PgVacuumFallingBehind", () =>
    fires({
      rule: "PgVacuumFallingBehind",
      labels: { datname: "postgres" },
      cause: async () => {
        await client.query("update kept set v = v");
        await client.query(flush);
      },
      mend: () => client.query("vacuum kept"),
    }));

  test("PgSequenceNearlyFull", () =>
    fires({
      rule: "PgSequenceNearlyFull",
      cause: async () => {
        await client.query("create sequence short as int maxvalue 100");
        await client.query("select setval('short', 95)");
      },
      mend: () => client.query("drop sequence short"),
    }));

  test("PgInvalidIndex", () =>
    fires({
      rule: "PgInvalidIndex",
      cause: () => client.query("create unique index concurrently twice on kept (v)").catch(() => undefined),
      mend: () => client.query("drop index twice"),
    }));

  test("PgCheckpointsRequested", () =>
    fires({
      rule: "PgCheckpointsRequested",
      cause: async () => {
        for (let i = 0; i < 4; i++) {
          await client.query("insert into kept values (-1) on conflict (id) do update set v = 'again'");
          await client.query("checkpoint");
        }
      },
    }));

  test("PgTempFiles", () =>
    fires({
      rule: "PgTempFiles",
      thresholds: { info: 1 },
      labels: { datname: "postgres" },
      cause: async () => {
        await client.query("set work_mem = '64kB'");
        await client.query("select count(*) from (select g from generate_series(1, 200000) g order by -g) s");
        await client.query("reset work_mem");
        await client.query(flush);
      },
    }));

  test("PgStatementsEvicted", async () => {
    const shift = { ms: 0 };
    await expectFault(
      { db: own },
      {
        rule: "PgStatementsEvicted",
        cause: async () => {
          for (let i = 0; i < 300; i++) await client.query(`select ${"1, ".repeat(i)}1`);
          // Reading statements costs most, so it is asked for less often than all else.
          shift.ms += 600_000;
        },
        mend: async () => {
          // With a hundred places taken, what the monitor asks itself would go on throwing others out.
          await client.query("select pg_stat_statements_reset()");
          shift.ms += 24 * 3_600_000;
        },
      },
      shift,
    );
  });

  test("PgQueryRegression", async () => {
    const shift = { ms: 0 };
    await client.query("create function slow() returns void language sql as 'select pg_sleep(0.06)'");
    const calls = async (): Promise<void> => {
      for (let i = 0; i < 13; i++) await client.query("select slow()");
    };
    let day = 0;
    await expectFault(
      { db: own },
      {
        rule: "PgQueryRegression",
        again: true,
        // The same hour of four days; on the fifth an index is gone, as it were.
        cause: async () => {
          if (day === 4)
            await client.query("create or replace function slow() returns void language sql as 'select pg_sleep(0.3)'");
          day += 1;
          await calls();
          shift.ms += 24 * 3_600_000;
        },
        mend: async () => {
          await client.query("drop function slow()");
          shift.ms += 3_600_000;
        },
      },
      shift,
    );
  });
});
