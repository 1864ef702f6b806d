import { createPool, type Failover, type PoolOptions } from "@db/pool";
import { startCluster, startFaultProxy, type TestCluster } from "@db/testkit";
import { describe, expect, test } from "vitest";

const fast: Partial<PoolOptions> = { probeIntervalMs: 50, probeTimeoutMs: 5_000, failoverTimeoutMs: 15_000 };

function poolOf(cluster: Pick<TestCluster, "primary" | "replicas">, options: Partial<PoolOptions> = {}) {
  const replicaUrls = cluster.replicas.map(({ url }) => url);
  return createPool({ primaryUrl: cluster.primary.url, replicaUrls, ...fast, ...options });
}

async function portOf(work: Promise<{ rows: { port: number }[] }>): Promise<number> {
  return (await work).rows[0]!.port;
}
const whichPort = "select current_setting('port')::int as port";

async function rejection(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => {
      throw new Error("expected a rejection");
    },
    (error: unknown) => error,
  );
}

describe("a primary with replicas", () => {
  test("routes as asked, spares a replica that lags, and follows a promotion without losing a write", async () => {
    await using cluster = await startCluster({ version: 18, replicas: 2 });
    await using pool = poolOf(cluster, { maxReplicaLagMs: 300 });
    const [first, second] = cluster.replicas;
    await pool.start();

    // Routing: the primary unless a replica is asked for.
    expect(await portOf(pool.query(whichPort))).toBe(cluster.primary.port);
    expect(await portOf(pool.primary.query(whichPort))).toBe(cluster.primary.port);
    const replicaPorts = [first.port, second.port];
    const seen = new Set<number>();
    for (let n = 0; n < 40; n += 1) seen.add(await portOf(pool.replica.query(whichPort)));
    expect(seen).toEqual(new Set(replicaPorts));
    expect(await portOf(pool.replica.withTransaction((tx) => tx.query(whichPort)))).toSatisfy((port: number) =>
      replicaPorts.includes(port),
    );
    // A write meant for a replica is the caller's mistake and stays one.
    const stray = rejection(pool.query("create table stray ()", [], { target: "replica" }));
    expect(await stray).toMatchObject({ code: "25006" });

    // Balance: the busy replica gets no more while the other is free.
    const held = await pool.connect({ target: "replica" });
    const { rows } = await held.query<{ port: number }>(whichPort);
    for (let n = 0; n < 10; n += 1) expect(await portOf(pool.replica.query(whichPort))).not.toBe(rows[0]!.port);
    held.release();

    // Lag: a replica that replays nothing is left out, and taken back when it has caught up.
    await pool.query("create table op (id int primary key)");
    const pause = await first.connect();
    await pause.query("select pg_wal_replay_pause()");
    const writing = setInterval(() => void pool.query("select pg_logical_emit_message(false, 'tick', 'x')"), 20);
    const lagOf = (port: number) => pool.stats().servers.find(({ name }) => name.endsWith(`:${port}`))!;
    await expect.poll(() => lagOf(first.port).lagMs ?? 0, { timeout: 5_000 }).toBeGreaterThan(300);
    expect(lagOf(first.port).lagBytes).toBeGreaterThan(0);
    for (let n = 0; n < 10; n += 1) expect(await portOf(pool.replica.query(whichPort))).toBe(second.port);
    expect(pool.health().status).toBe("warn");
    await pause.query("select pg_wal_replay_resume()");
    await pause.end();
    clearInterval(writing);
    await expect.poll(() => lagOf(first.port).lagMs, { timeout: 5_000 }).toBeLessThan(300);

    // Failover: writers go on, nothing acknowledged is lost, nothing is written twice.
    const failovers: Failover[] = [];
    pool.on("failover", (failover) => failovers.push(failover));
    const acknowledged: number[] = [];
    const failed: unknown[] = [];
    let next = 0;
    const stop = new AbortController();
    const writers = Array.from({ length: 5 }, async () => {
      while (!stop.signal.aborted) {
        const id = (next += 1);
        try {
          await pool.query("insert into op values ($1)", [id]);
          acknowledged.push(id);
        } catch (error) {
          failed.push(error);
        }
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    });
    await expect.poll(() => acknowledged.length).toBeGreaterThan(20);
    // Only what the standby to be promoted has received can survive a killed primary.
    stop.abort();
    await Promise.all(writers);
    await expect.poll(() => lagOf(second.port).lagBytes).toBe(0);
    await cluster.primary.kill();
    const during = Array.from({ length: 10 }, (_, n) => pool.query("insert into op values ($1)", [10_000 + n]));
    const promotedAt = second.promote().then(() => performance.now());
    await Promise.all(during);
    expect(performance.now() - (await promotedAt)).toBeLessThan(1_000);
    const { rows: kept } = await pool.query<{ id: number }>("select id from op order by id");
    expect(kept.map(({ id }) => id)).toEqual(expect.arrayContaining(acknowledged));
    expect(kept).toHaveLength(acknowledged.length + during.length);
    expect(failed).toEqual([]);
    expect(failovers).toMatchObject([{ to: `127.0.0.1:${second.port}`, timeline: 2 }]);
    expect(await portOf(pool.query(whichPort))).toBe(second.port);

    // The old primary comes back writable: fenced, by its timeline.
    await cluster.primary.start();
    const old = () => pool.stats().servers.find(({ name }) => name.endsWith(`:${cluster.primary.port}`))!;
    await expect.poll(() => old().state, { timeout: 5_000 }).toBe("refused");
    expect(old().reason).toContain("timeline 1");
    expect(await portOf(pool.query(whichPort))).toBe(second.port);
    expect(pool.stats().failovers).toBe(1);
  });
});

describe("servers that do not belong together", () => {
  test("are refused with the evidence: a second primary, another cluster, a primary in recovery", async () => {
    // Made from one template, so of one identity and one timeline, as a copy that was never a standby is.
    await using original = await startCluster({ version: 18 });
    await using copy = await startCluster({ version: 18 });
    await using cluster = await startCluster({ version: 18, replicas: 1 });
    const { url } = cluster.primary;

    await using two = createPool({ primaryUrl: original.primary.url, replicaUrls: [copy.primary.url], ...fast });
    const refused = await rejection(two.start());
    expect(refused).toMatchObject({ code: "POOL_TOPOLOGY_REFUSED" });
    const evidence = `writes on timeline 1 while another does: 127.0.0.1:${copy.primary.port} on 1`;
    expect((refused as Error).message).toContain(evidence);
    expect(await rejection(two.query("select 1"))).toMatchObject({ code: "POOL_NO_PRIMARY" });

    const strangers = { primaryUrl: url, replicaUrls: [copy.primary.url], replicaFallback: "error" } as const;
    await using foreign = createPool({ ...strangers, ...fast });
    expect(((await rejection(foreign.start())) as Error).message).toMatch(/belongs to cluster \d+, not \d+/);
    expect((await foreign.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    expect(await rejection(foreign.replica.query("select 1"))).toMatchObject({ code: "POOL_NO_REPLICA" });

    await using swapped = createPool({ primaryUrl: cluster.replicas[0].url, replicaUrls: [], ...fast });
    expect(await rejection(swapped.query("create table t ()"))).toMatchObject({ code: "25006" });
    await swapped.start();
    expect(swapped.health()).toMatchObject({ status: "warn" });

    await using asleep = createPool({ primaryUrl: cluster.replicas[0].url, replicaUrls: [url], ...fast });
    await asleep.start();
    expect(await portOf(asleep.query(whichPort))).toBe(cluster.primary.port);
  });
});

describe("servers that are far away", () => {
  test("serve the first statement although connecting takes longer than a probe may", async () => {
    await using cluster = await startCluster({ replicas: 1 });
    await using far = await startFaultProxy({ target: cluster.primary.url });
    await using farther = await startFaultProxy({ target: cluster.replicas[0]!.url });
    for (const proxy of [far, farther]) proxy.delay(100);
    await using pool = createPool({
      primaryUrl: far.url(cluster.primary.url),
      replicaUrls: [farther.url(cluster.replicas[0]!.url)],
      probeIntervalMs: 100,
      // One way there and back is in it, those of a login are not.
      probeTimeoutMs: 300,
      connectTimeoutMs: 20_000,
    });
    expect(await portOf(pool.query(whichPort))).toBe(cluster.primary.port);
  });

  test("do not hold up the first statement where another one can serve it", async () => {
    await using cluster = await startCluster({ replicas: 1 });
    await using gone = await startFaultProxy({ target: cluster.replicas[0]!.url });
    gone.blackhole();
    await using pool = createPool({
      primaryUrl: cluster.primary.url,
      replicaUrls: [gone.url(cluster.replicas[0]!.url)],
      probeTimeoutMs: 200,
      // Longer than this test may take.
      connectTimeoutMs: 600_000,
      drainTimeoutMs: 1_000,
    });
    expect(await portOf(pool.query(whichPort))).toBe(cluster.primary.port);
    expect(await portOf(pool.replica.query(whichPort))).toBe(cluster.primary.port);
  });
});

describe("servers that are not there", () => {
  test("fail at once when they never were, with what each one said", async () => {
    const urls = ["postgres://u:topsecret@127.0.0.1:1/db", "postgres://u:topsecret@127.0.0.1:2/db"] as const;
    await using alone = createPool({ primaryUrl: urls[0], ...fast });
    expect(await rejection(alone.query("select 1"))).toMatchObject({ code: "ECONNREFUSED" });
    expect(await rejection(alone.start())).toMatchObject({ code: "ECONNREFUSED" });
    await using both = createPool({ primaryUrl: urls[0], replicaUrls: [urls[1]], ...fast });
    const error = await rejection(both.query("select 1"));
    expect(error).toMatchObject({ code: "POOL_NO_PRIMARY" });
    expect(await rejection(both.start())).toMatchObject({ code: "POOL_NO_PRIMARY" });
    expect((error as Error).message).toContain("127.0.0.1:2: unreachable: connect ECONNREFUSED");
    expect((error as Error).message).not.toContain("topsecret");
    expect(both.health().status).toBe("fail");
  });
});
