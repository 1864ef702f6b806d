import { createPool } from "@db/pool";
import { startCluster } from "@db/testkit";
import { expect, test } from "vitest";

test("a session never reads behind its own writes, and reads from replicas as soon as they have them", async () => {
  await using cluster = await startCluster({ version: 18, replicas: 2 });
  const [prompt, late] = cluster.replicas;
  await late.reconfigure({ recovery_min_apply_delay: "400ms" });
  await using pool = createPool({
    primaryUrl: cluster.primary.url,
    replicaUrls: [prompt.url, late.url],
    probeIntervalMs: 50,
  });
  await pool.start();
  await pool.query("create table t (n int)");
  await pool.query("insert into t values (0)");
  await expect.poll(async () => (await pool.replica.query("select to_regclass('t') as t")).rows[0]?.["t"]).toBe("t");
  const delayed = await late.connect();
  await expect.poll(async () => (await delayed.query("select to_regclass('t') as t")).rows[0]?.["t"]).toBe("t");
  await delayed.end();

  const session = pool.session();
  const read = (token: unknown) =>
    pool
      .session(token as typeof session.token)
      .query<{ n: number; port: number }>("select n, current_setting('port')::int as port from t", [], {
        target: "replica",
      });
  for (let n = 1; n <= 100; n += 1) {
    // Half by a single statement, half by a transaction.
    if (n % 2) await session.query("update t set n = $1", [n]);
    else await session.withTransaction((tx) => tx.query("update t set n = $1", [n]));
    // As a cookie would carry it.
    const { rows } = await read(JSON.parse(JSON.stringify(session.token)));
    expect(rows[0]!.n).toBe(n);
  }
  await expect.poll(async () => (await read(session.token)).rows[0]!.port).toBe(prompt.port);

  // The delayed replica alone would be stale here: the session goes to the primary instead.
  await prompt.stop("immediate");
  await session.query("update t set n = 1000");
  const { rows } = await session.query("select n from t", [], { target: "replica" });
  expect(rows).toEqual([{ n: 1000 }]);
});
