import { createPool, decodeSessionToken, encodeSessionToken, type Pool, type PoolOptions } from "@db/pool";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let cluster: TestCluster<1>;
let late: TestCluster<1>["replicas"][0];
beforeAll(async () => {
  // The one replica replays nothing until it is told to: what it cannot know is certain.
  cluster = await startCluster({ version: 18, replicas: 1 });
  [late] = cluster.replicas;
});
afterAll(() => cluster.stop());

const port = "current_setting('port')::int as port";

async function replay(action: "pause" | "resume"): Promise<void> {
  const client = await late.connect();
  await client.query(`select pg_wal_replay_${action}()`);
  if (action === "pause") {
    const state = "select pg_get_wal_replay_pause_state() as state";
    await expect.poll(async () => (await client.query<{ state: string }>(state)).rows[0]!.state).toBe("paused");
  }
  await client.end();
}

/** A pool whose replica has the table, and nothing that is written from now on. */
async function poolBehind(options: Partial<PoolOptions> = {}): Promise<{ pool: Pool } & AsyncDisposable> {
  const pool = createPool({
    primaryUrl: cluster.primary.url,
    replicaUrls: [late.url],
    probeIntervalMs: 50,
    ...options,
  });
  await pool.start();
  const setup = pool.session();
  await setup.query("drop table if exists t");
  await setup.query("create table t (n int)");
  await setup.query("insert into t values (0)");
  const read = `select n, ${port} from t`;
  const there = async (): Promise<number> => {
    const { rows } = await setup.query<{ port: number }>(read, [], { target: "replica" });
    return rows[0]!.port;
  };
  await expect.poll(there).toBe(late.port);
  await replay("pause");
  return {
    pool,
    [Symbol.asyncDispose]: async () => {
      await replay("resume");
      await pool.drain();
    },
  };
}
const select = `select n, ${port} from t`;
interface Read {
  n: number;
  port: number;
}
const onReplica = { target: "replica" } as const;

describe("consistency", () => {
  test("eventual reads whatever a replica has; strong everything that was committed by anybody", async () => {
    await using rig = await poolBehind();
    const { pool } = rig;
    await using other = createPool({ primaryUrl: cluster.primary.url });
    await other.query("update t set n = 1");
    expect((await pool.query<Read>(select, [], onReplica)).rows).toEqual([{ n: 0, port: late.port }]);
    const strong = await pool.query<Read>(select, [], { ...onReplica, consistency: "strong" });
    expect(strong.rows).toEqual([{ n: 1, port: cluster.primary.port }]);
    const readOnly = { ...onReplica, readOnly: true } as const;
    const seen = (consistency: "eventual" | "strong") =>
      pool.withTransaction((tx) => tx.query<Read>(select), { ...readOnly, consistency });
    expect((await seen("eventual")).rows[0]!.n).toBe(0);
    expect((await seen("strong")).rows[0]!.n).toBe(1);

    await replay("resume");
    const caughtUp = async (): Promise<Read> =>
      (await pool.query<Read>(select, [], { ...onReplica, consistency: "strong" })).rows[0]!;
    await expect.poll(caughtUp).toEqual({ n: 1, port: late.port });
  });

  test("session, as the pool's default, holds for every way to write through it", async () => {
    await using rig = await poolBehind({ consistency: "session" });
    const { pool } = rig;
    const read = async (): Promise<number> => (await pool.query<Read>(select, [], onReplica)).rows[0]!.n;
    expect((await pool.query<Read>(select, [], onReplica)).rows).toEqual([{ n: 0, port: late.port }]);

    // First, while nothing else could lead to the primary: what a client holds may have been committed already.
    const client = await pool.connect();
    await client.query("update t set n = n + 1");
    expect(await read()).toBe(1);
    client.release();
    expect(await read()).toBe(1);
    await pool.query("update t set n = n + 1");
    expect(await read()).toBe(2);
    await pool.withTransaction((tx) => tx.query("update t set n = n + 1"));
    expect(await read()).toBe(3);
    await pool.withSession((session) => session.query("update t set n = n + 1"));
    expect(await read()).toBe(4);
    await pool.primary.query("update t set n = n + 1");
    expect(await read()).toBe(5);
    {
      await using session = await pool.acquire();
      await session.query("update t set n = n + 1");
    }
    expect(await read()).toBe(6);
    await pool.query("truncate t");
    await pool.copyFrom("copy t from stdin", ["7\n"]);
    expect(await read()).toBe(7);
    await pool.query("update t set n = n + 1", [], { settings: { "app.tenant": "1" } });
    expect(await read()).toBe(8);
    const settings = { ...onReplica, settings: { "app.tenant": "1" } };
    expect((await pool.query<Read>(select, [], settings)).rows[0]!.n).toBe(8);
    expect(
      (await pool.withTransaction((tx) => tx.query<Read>(select), { readOnly: true, ...onReplica })).rows[0]!.n,
    ).toBe(8);
    expect((await pool.query<Read>(select, [], { ...onReplica, consistency: "eventual" })).rows[0]!.n).toBe(0);

    await replay("resume");
    await expect
      .poll(async () => (await pool.query<Read>(select, [], onReplica)).rows[0])
      .toEqual({ n: 8, port: late.port });
  });
});

describe("a session's token", () => {
  test("continues the session in another process, through text", async () => {
    await using rig = await poolBehind();
    const session = rig.pool.session();
    expect(session.token).toBeUndefined();
    await session.query("update t set n = 7");
    const cookie = encodeSessionToken(session.token!);
    await using elsewhere = createPool({
      primaryUrl: cluster.primary.url,
      replicaUrls: [late.url],
      probeIntervalMs: 50,
    });
    const read = await elsewhere.session(cookie).query<Read>(select, [], onReplica);
    expect(read.rows).toEqual([{ n: 7, port: cluster.primary.port }]);
    expect((await elsewhere.session().query<Read>(select, [], onReplica)).rows[0]!.port).toBe(late.port);
    expect(() => elsewhere.session("made up")).toThrow(expect.objectContaining({ code: "POOL_INVALID_SESSION_TOKEN" }));
  });

  test("of a write whose position is not known leads to the primary, here and elsewhere", async () => {
    await using rig = await poolBehind();
    const session = rig.pool.session();
    // Gone before it could say where it wrote.
    const gone = session.withSession(async (held) => {
      await held.query("update t set n = 9");
      await held.query("select pg_terminate_backend(pg_backend_pid())");
    });
    await expect(gone).rejects.toBeInstanceOf(Error);
    const token = decodeSessionToken(encodeSessionToken(session.token!));
    for (const each of [session, rig.pool.session(token)]) {
      expect((await each.query<Read>(select, [], onReplica)).rows).toEqual([{ n: 9, port: cluster.primary.port }]);
    }
  });

  test("where replicas alone may serve, is refused rather than answered with what is old", async () => {
    await using rig = await poolBehind({ replicaFallback: "error" });
    const session = rig.pool.session();
    await session.query("update t set n = 7");
    await expect(session.query(select, [], onReplica)).rejects.toMatchObject({
      code: "POOL_NO_REPLICA",
      message: expect.stringContaining("not seen to have what must be read"),
    });
  });

  test("from a later timeline makes a process find the failover before it reads", async () => {
    await using own = await startCluster({ version: 18, replicas: 2 });
    const [next, other] = own.replicas;
    const urls = { primaryUrl: own.primary.url, replicaUrls: [next.url, other.url] };
    // It probes so seldom that it would not notice by itself.
    await using slow = createPool({ ...urls, probeIntervalMs: 600_000, probeTimeoutMs: 5_000 });
    await slow.start();
    await using pool = createPool({ ...urls, probeIntervalMs: 50, probeTimeoutMs: 5_000 });
    await pool.start();
    await pool.query("create table t (n int)");
    await own.primary.stop("fast");
    await next.promote();
    const session = pool.session();
    await session.query("insert into t values (5)");
    expect(session.token).toMatchObject({ timeline: 2 });
    const { rows } = await slow.session(session.token).query<{ n: number }>("select n from t", [], onReplica);
    expect(rows).toEqual([{ n: 5 }]);
    expect(slow.stats().failovers).toBe(1);
  });
});
