import type { PoolStatsSource } from "@db/monitor";
import type { TestCluster } from "@db/testkit";
import { type Client, Pool } from "pg";
import { afterAll, beforeAll, describe, test } from "vitest";
import { type FaultBench, flush, startFaultBench } from "./fault-bench.ts";
import { type Fault } from "./fault.ts";

let bench: FaultBench;
let cluster: TestCluster<1>;
let client: Client;
let other: Client;

beforeAll(async () => {
  bench = await startFaultBench();
  ({ cluster, client, other } = bench);
});
afterAll(() => bench?.[Symbol.asyncDispose]());

const fires = (fault: Fault): Promise<void> => bench.fires(fault);

describe("sessions", () => {
  test("PgConnections", async () => {
    const many: Client[] = [];
    await fires({
      rule: "PgConnections",
      cause: async () => {
        for (let i = 0; i < 80; i++) many.push(await cluster.connect());
      },
      mend: () => Promise.all(many.map((each) => each.end())),
    });
  });

  test("PoolExhausted", async () => {
    const pool = new Pool({ connectionString: cluster.primary.url, max: 1 });
    const source: PoolStatsSource = {
      stats: () => ({
        max: 1,
        servers: [
          {
            name: "primary",
            role: "primary",
            idle: pool.idleCount,
            checkedOut: pool.totalCount - pool.idleCount,
            waiting: pool.waitingCount,
            acquireTimeouts: 0,
          },
        ],
      }),
    };
    const held: { release: () => void }[] = [];
    let waiting: Promise<{ release: () => void }> | undefined;
    await fires({
      rule: "PoolExhausted",
      options: { pool: source },
      cause: async () => {
        held.push(await pool.connect());
        waiting = pool.connect();
      },
      mend: async () => {
        held[0]!.release();
        (await waiting)!.release();
      },
    });
    await pool.end();
  });

  test("PgLongTransaction", () =>
    fires({
      rule: "PgLongTransaction",
      thresholds: { warn: 0.05 },
      cause: () => client.query("begin; select 1"),
      mend: () => client.query("commit"),
    }));

  test("PgIdleInTransaction", () =>
    fires({
      rule: "PgIdleInTransaction",
      thresholds: { warn: 0.05 },
      cause: () => client.query("begin; select 1"),
      mend: () => client.query("commit"),
    }));

  test("PgLongQuery", async () => {
    let running: Promise<unknown> | undefined;
    await fires({
      rule: "PgLongQuery",
      thresholds: { warn: 0.05 },
      cause: async () => {
        running = client.query("select pg_sleep(600)").catch(() => undefined);
      },
      mend: async () => {
        await other.query(
          "select pg_cancel_backend(pid) from pg_stat_activity where query like 'select pg_sleep(600)%'",
        );
        await running;
      },
    });
  });

  for (const [rule, thresholds] of [
    ["PgLockWait", { warn: 0.05 }],
    ["PgBlockedSessions", { warn: 0 }],
  ] as const) {
    test(rule, async () => {
      let waiting: Promise<unknown> | undefined;
      await fires({
        rule,
        thresholds,
        cause: async () => {
          await client.query("begin; lock table kept");
          waiting = other.query("select count(*) from kept");
        },
        mend: async () => {
          await client.query("rollback");
          await waiting;
        },
      });
    });
  }

  test("PgDeadlocks", () =>
    fires({
      rule: "PgDeadlocks",
      labels: { datname: "postgres" },
      cause: async () => {
        await client.query("begin; update kept set v = 'a' where id = 1");
        await other.query("begin; update kept set v = 'a' where id = 2");
        await Promise.allSettled([
          client.query("update kept set v = 'a' where id = 2"),
          other.query("update kept set v = 'a' where id = 1"),
        ]);
        for (const each of [client, other]) {
          await each.query("rollback");
          await each.query(flush);
        }
      },
    }));

  test("PgTooManyLocks", () =>
    fires({
      rule: "PgTooManyLocks",
      thresholds: { warn: 0.05 },
      cause: () => client.query("begin; select pg_advisory_lock_shared(g) from generate_series(1, 500) g"),
      mend: () => client.query("rollback; select pg_advisory_unlock_all()"),
    }));

  test("PgRollbackRatio", () =>
    fires({
      rule: "PgRollbackRatio",
      labels: { datname: "postgres" },
      again: true,
      cause: async () => {
        for (let i = 0; i < 50; i++) {
          // A server session that touched no table tells of its transactions only now and then.
          await client.query("begin; select from kept");
          await client.query("rollback");
        }
        await client.query(flush);
      },
    }));

  test("PgFatalSessions", () =>
    fires({
      rule: "PgFatalSessions",
      thresholds: { warn: 0 },
      labels: { datname: "postgres" },
      cause: async () => {
        const doomed = await cluster.connect();
        const ended = new Promise((resolve) => doomed.once("end", resolve));
        await doomed.query("set idle_session_timeout = 1");
        await ended;
      },
    }));

  test("PgPreparedTransaction", () =>
    fires({
      rule: "PgPreparedTransaction",
      thresholds: { warn: 0.05 },
      cause: () => client.query("begin; insert into kept values (-1); prepare transaction 'forgotten'"),
      mend: () => client.query("rollback prepared 'forgotten'"),
    }));
});
