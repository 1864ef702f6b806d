import { createPool, InvalidPoolOptionsError, Pool, type PoolOptions } from "@db/pool";
import { startCluster, type TestCluster } from "@db/testkit";
import type { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { combine, contradict, inOneUrl, randomOf, type Servers } from "./option-combinations.ts";

let cluster: TestCluster<1>;
let servers: Servers;
let observers: Client[] = [];
beforeAll(async () => {
  cluster = await startCluster({ version: 18, replicas: 1 });
  const { primary, replicas } = cluster;
  const password = decodeURIComponent(new URL(primary.url).password);
  servers = { primaryUrl: primary.url, replicaUrl: replicas[0].url, password };
  observers = [await cluster.connect(), await replicas[0].connect()];
  await observers[0]!.query("create table used (pool int, key int, primary key (pool, key))");
});
afterAll(async () => {
  for (const each of observers) await each.end();
  await cluster.stop();
});

/** Written as they were given: what a failure has to be repeated with. */
function shown(options: PoolOptions): string {
  const write = (_: string, value: unknown): unknown =>
    typeof value === "function" || value === Infinity ? String(value) : value;
  return JSON.stringify({ ...options, primaryUrl: "", replicaUrls: options.replicaUrls?.length, password: "" }, write);
}

const seeds = Array.from({ length: 40 }, (_, index) => index + 1);

/** Everything a pool is for, once each. */
async function use(pool: Pool, key: number): Promise<void> {
  const sums = await Promise.all(
    Array.from({ length: 40 }, (_, n) => pool.query<{ n: number }>("select $1::int + 1 as n", [n])),
  );
  expect(sums.map(({ rows }) => rows[0]!.n)).toEqual(Array.from(sums, (_, n) => n + 1));

  const target = "primary";
  const insert = "insert into used values ($1, $2)";
  const inserted = await Promise.all([1, 2, 3].map((each) => pool.query(insert, [key, each], { target })));
  expect(inserted.map(({ rowCount }) => rowCount)).toEqual([1, 1, 1]);
  await expect(pool.query(insert, [key, 1], { target })).rejects.toMatchObject({ code: "23505" });

  await pool.withTransaction(async (tx) => tx.query(insert, [key, 4]), { target });
  const undone = pool.withTransaction(
    async (tx) => {
      await tx.query(insert, [key, 5]);
      throw new Error("not this one");
    },
    { target },
  );
  await expect(undone).rejects.toThrow("not this one");

  await pool.withSession(async (session) => session.query("set application_name = 'of a session'"), { target });
  await pool.withSession(
    async (session) => {
      const { rows } = await session.query<{ name: string }>("select current_setting('application_name') as name");
      expect(rows[0]!.name).not.toBe("of a session");
    },
    { target },
  );

  const client = await pool.connect({ target });
  await client.query("begin");
  await client.query(insert, [key, 6]);
  client.release();

  const abort = new AbortController();
  const sleeping = pool.query("select pg_sleep(600) /* cancelled */", [], { target, signal: abort.signal });
  const refused = expect(sleeping).rejects.toMatchObject({ code: "CORE_ABORTED" });
  await expect.poll(sleepers, { timeout: 20_000 }).toBe(1);
  abort.abort();
  await refused;
  await expect.poll(sleepers, { timeout: 20_000 }).toBe(0);

  const kept = await pool.query<{ key: number }>("select key from used where pool = $1 order by key", [key], {
    target,
  });
  expect(kept.rows.map((row) => row.key)).toEqual([1, 2, 3, 4]);
  const streamed: number[] = [];
  for await (const { n } of pool.stream<{ n: number }>("select n from generate_series(1, 250) n")) streamed.push(n);
  expect(streamed).toHaveLength(250);
}

async function sleepers(): Promise<number | null> {
  const sql = "select from pg_stat_activity where query like 'select pg_sleep(600) /* cancelled%' and state = 'active'";
  return (await observers[0]!.query(sql)).rowCount;
}

/** Backends on either server that are not the tests' own, nor the standby's. */
async function strangers(): Promise<number> {
  const sql = "select from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()";
  const counts = await Promise.all(observers.map(async (each) => (await each.query(sql)).rowCount ?? 0));
  return counts.reduce((sum, each) => sum + each, 0);
}

describe("options that go together, whichever they are", () => {
  test.each(seeds)("make a pool that does all its work and leaves nothing behind (%i)", async (seed) => {
    const options = combine(randomOf(seed), servers);
    const pool = createPool(options);
    try {
      await pool.start();
      await use(pool, seed);
      expect(pool.health()).not.toMatchObject({ status: "unhealthy" });
      await expect.poll(() => pool.stats().checkedOut, { timeout: 20_000 }).toBe(0);
      await pool.end();
      expect([pool.totalCount, pool.idleCount, pool.waitingCount]).toEqual([0, 0, 0]);
      await expect.poll(strangers, { timeout: 20_000 }).toBe(0);
    } catch (error) {
      throw new Error(`with ${shown(options)}`, { cause: error });
    } finally {
      await pool.drain({ timeoutMs: 0 }).catch(() => undefined);
    }
  });
});

describe("options that contradict each other", () => {
  test.each(seeds)("are refused at once, with a word on each contradiction and on nothing else (%i)", (seed) => {
    const random = randomOf(seed);
    const { options, named } = contradict(random, combine(random, servers));
    let refusal: unknown;
    try {
      createPool(options);
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toBeInstanceOf(InvalidPoolOptionsError);
    const { problems } = refusal as InvalidPoolOptionsError;
    const unnamed = named.filter((each) => !problems.some((problem) => each.test(problem)));
    expect([shown(options), unnamed, problems.length]).toEqual([shown(options), [], named.length]);
  });
});

test.each([
  ["a list of hosts", (url: string) => url],
  ["a wish for a primary", (url: string) => `${url}?target_session_attrs=read-write`],
])("%s in pg's own names leads to the primary among them", async (_, wish) => {
  await using pool = new Pool({ connectionString: wish(inOneUrl(servers.replicaUrl, servers.primaryUrl)), max: 2 });
  expect((await pool.query("insert into used values (0, $1)", [_.length])).rowCount).toBe(1);
});

test("names that are believed, with nobody probed, are worked with again as soon as their server is back", async () => {
  const [primary] = observers;
  await using pool = createPool({
    primaryUrl: servers.primaryUrl,
    replicaUrls: [servers.replicaUrl],
    topology: "static",
    probeIntervalMs: false,
    applicationName: "believed",
  });
  const where = async (target: "primary" | "replica"): Promise<unknown> =>
    (await pool.query("select pg_is_in_recovery() as standby", [], { target })).rows;
  const end = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'believed'";
  for (let round = 0; round < 3; round += 1) {
    expect(await where("replica")).toEqual([{ standby: true }]);
    expect(await where("primary")).toEqual([{ standby: false }]);
    // What was ended as it was sent finds no probe to tell that the primary is well, and needs none.
    const ended = primary!.query(end);
    const written = pool.query("select $1::int + $2::int as n", [round, round]);
    await ended;
    expect((await written).rows).toEqual([{ n: 2 * round }]);
  }
});
