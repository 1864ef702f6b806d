import { tracingChannel } from "node:diagnostics_channel";
import { type AcquireTrace, createPool, type Pool, poolChannels, type PoolOptions, type QueryTrace } from "@db/pool";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18, settings: { log_statement: "all" } });
});
afterAll(() => cluster.stop());

async function freshPool(options: Partial<PoolOptions> = {}): Promise<Pool> {
  const { url } = await cluster.createDatabase();
  return createPool({ primaryUrl: url, ...options });
}

/** Everything a channel says while `work` runs. */
async function heard(name: string, work: () => Promise<unknown>): Promise<string[]> {
  const said: string[] = [];
  const say = (event: string) => (trace: unknown) => {
    const { statement, server, rowCount, error } = trace as Partial<QueryTrace & AcquireTrace>;
    const of = statement ?? (server === undefined ? "" : "server");
    const code = (error as { code?: string } | undefined)?.code;
    said.push(`${event} ${of} ${rowCount ?? ""}${code ?? ""}`.trim());
  };
  const subscribers = {
    start: say("start"),
    end: say("end"),
    asyncStart: say("asyncStart"),
    asyncEnd: say("asyncEnd"),
    error: say("error"),
  };
  const channel = tracingChannel(name);
  channel.subscribe(subscribers);
  try {
    await work();
  } finally {
    channel.unsubscribe(subscribers);
  }
  await work().catch(() => undefined);
  return said;
}

describe("diagnostics channels", () => {
  test("tell of statements, without their literals, until nobody listens", async () => {
    await using pool = await freshPool();
    const said = await heard(poolChannels.query, async () => {
      await pool.query("select n, 'secret' from generate_series(1, $1) n", [3]);
      await pool.query("select 1/0").catch(() => undefined);
    });
    const [good, bad] = ["select n, ? from generate_series(?, $1) n", "select ?/?"];
    expect(said).toEqual([
      `start ${good}`,
      `end ${good}`,
      `asyncStart ${good} 3`,
      `asyncEnd ${good} 3`,
      `start ${bad}`,
      `end ${bad}`,
      `error ${bad} 22012`,
      `asyncStart ${bad} 22012`,
      `asyncEnd ${bad} 22012`,
    ]);
  });

  test("tell of connections made and lent, and why one could not be", async () => {
    await using pool = await freshPool();
    const events = ["start server", "end server", "asyncStart server", "asyncEnd server"];
    expect(await heard(poolChannels.connect, () => pool.query("select 1"))).toEqual(events);
    const lend = async (): Promise<void> => (await pool.connect()).release();
    expect(await heard(poolChannels.acquire, lend)).toEqual(events);
    expect(await heard(poolChannels.acquire, () => pool.withTransaction((tx) => tx.query("select 1")))).toEqual(events);
    await using nowhere = createPool({
      primaryUrl: "postgres://u@127.0.0.1:1/db",
      probeIntervalMs: false,
      retry: false,
    });
    const refused = await heard(poolChannels.connect, () => nowhere.query("select 1").catch(() => undefined));
    expect(refused).toContain("error server ECONNREFUSED");
  });
});

describe("tags", () => {
  const mine = "select query from pg_stat_activity where pid = pg_backend_pid()";
  const shown = async (pool: Pool, options = {}): Promise<string> =>
    (await pool.query<{ query: string }>(mine, [], options)).rows[0]!.query;

  test("that stay the same reach the server, prepared or not", async () => {
    await using pool = await freshPool({ tags: { application: "bills", framework: "none" } });
    const tagged = `${mine} /*application='bills',framework='none'*/`;
    for (let n = 0; n < 5; n += 1) expect(await shown(pool)).toBe(tagged);
    const prepared = "select count(*)::int as n from pg_prepared_statements where statement like $1";
    await using session = await pool.acquire();
    expect((await session.query<{ n: number }>(prepared, ["%application='bills'%"])).rows[0]!.n).toBeGreaterThanOrEqual(
      0,
    );
  });

  test("that change reach it only where nothing is prepared", async () => {
    let request = 0;
    const tags = () => ({ request: String((request += 1)) });
    await using preparing = await freshPool({ tags });
    expect(await shown(preparing)).toBe(mine);
    expect(await shown(preparing, { prepare: false, tags: { route: "/bills" } })).toMatch(
      /\/\*request='\d+',route='%2Fbills'\*\/$/,
    );
    await using plain = await freshPool({ tags, prepare: false });
    const seen = new Set<string>();
    for (let n = 0; n < 5; n += 1) seen.add(await shown(plain));
    expect(seen.size).toBe(5);
  });
});
