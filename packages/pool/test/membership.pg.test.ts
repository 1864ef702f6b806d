import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createPool, type MembershipChange, patroni, type Pool, type PoolOptions, type TopologyMember } from "@db/pool";
import { startCluster, type TestCluster, type TestServer } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const fast: Partial<PoolOptions> = { probeIntervalMs: 50, probeTimeoutMs: 5_000, failoverTimeoutMs: 15_000 };
const whichPort = "select current_setting('port')::int as port";

async function portOf(work: Promise<{ rows: { port: number }[] }>): Promise<number> {
  return (await work).rows[0]!.port;
}
async function readPorts(pool: Pool, count = 30): Promise<Set<number>> {
  const seen = new Set<number>();
  for (let n = 0; n < count; n += 1) seen.add(await portOf(pool.query(whichPort, [], { target: "replica" })));
  return seen;
}
async function rejection(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => {
      throw new Error("expected a rejection");
    },
    (error: unknown) => error,
  );
}

let cluster: TestCluster<2>;
beforeAll(async () => {
  cluster = await startCluster({ version: 18, replicas: 2 });
});
afterAll(() => cluster.stop());

/** libpq's form: one host list, one port list. */
const conninfo = (...servers: readonly TestServer[]): string => {
  const { username, password } = new URL(servers[0]!.url);
  const ports = servers.map(({ port }) => port).join(",");
  return `host=${servers.map(() => "127.0.0.1").join(",")} port=${ports} dbname=postgres user=${username} password=${password}`;
};

describe("a list of hosts", () => {
  test("as keywords finds the primary wherever it is, and reads from the others", async () => {
    const [first, second] = cluster.replicas;
    await using pool = createPool({ primaryUrl: conninfo(first, cluster.primary, second), ...fast });
    await pool.start();
    expect(await portOf(pool.query(whichPort))).toBe(cluster.primary.port);
    expect(await readPorts(pool)).toEqual(new Set([first.port, second.port]));
  });

  test.each([
    ["primary", "primary"],
    ["read-write", "primary"],
    ["standby", "replica"],
    ["read-only", "replica"],
    ["prefer-standby", "replica"],
    ["any", "any"],
  ] as const)("with target_session_attrs=%s serves from the %s", async (attrs, where) => {
    const [first, second] = cluster.replicas;
    const url = new URL(cluster.primary.url);
    const hosts = [first, cluster.primary, second].map(({ port }) => `127.0.0.1:${port}`).join(",");
    const text = `postgres://${url.username}:${url.password}@${hosts}/postgres?target_session_attrs=${attrs}`;
    await using pool = createPool({ primaryUrl: text, ...fast });
    const seen = new Set<number>();
    for (let n = 0; n < 40; n += 1) seen.add(await portOf(pool.query(whichPort)));
    const replicas = [first.port, second.port];
    const expected = { primary: [cluster.primary.port], replica: replicas, any: [cluster.primary.port, ...replicas] };
    expect(seen).toEqual(new Set(expected[where]));
  });

  test("refuses servers of another kind than targetSessionAttrs asks for", async () => {
    const only = { ...fast, primaryUrl: cluster.primary.url };
    await using standby = createPool({ ...only, targetSessionAttrs: "standby" });
    expect(await rejection(standby.query("select 1"))).toMatchObject({ code: "POOL_NO_REPLICA" });
    await using writable = createPool({
      ...fast,
      primaryUrl: cluster.replicas[0].url,
      targetSessionAttrs: "read-write",
    });
    expect(await rejection(writable.query("select 1"))).toMatchObject({ code: "POOL_NO_PRIMARY" });
    await using preferring = createPool({ ...only, targetSessionAttrs: "prefer-standby" });
    expect(await portOf(preferring.query(whichPort))).toBe(cluster.primary.port);

    // A primary whose sessions are read-only by default is a primary, and not read-write.
    const { name, url } = await cluster.createDatabase();
    const client = await cluster.connect();
    await client.query(`alter database "${name}" set default_transaction_read_only = on`);
    await client.end();
    await using reading = createPool({ ...fast, primaryUrl: url, targetSessionAttrs: "read-only" });
    expect(await portOf(reading.query(whichPort))).toBe(cluster.primary.port);
    await using writing = createPool({ ...fast, primaryUrl: url, targetSessionAttrs: "read-write" });
    expect(await rejection(writing.query("select 1"))).toMatchObject({
      code: "POOL_NO_PRIMARY",
      message: expect.stringContaining("read-only by default"),
    });
    await using primary = createPool({ ...fast, primaryUrl: url, targetSessionAttrs: "primary" });
    expect(await portOf(primary.query(whichPort))).toBe(cluster.primary.port);
  });
});

describe("replicas", () => {
  test("share reads by their weights, and one of weight 0 serves none", async () => {
    const [first, second] = cluster.replicas;
    const weighted = (heavy: number, light: number): Pool =>
      createPool({
        primaryUrl: cluster.primary.url,
        replicaUrls: [
          { url: first.url, weight: heavy },
          { url: second.url, weight: light },
        ],
        loadBalance: "weighted",
        ...fast,
      });
    await using pool = weighted(3, 1);
    await pool.start();
    const counts = { [first.port]: 0, [second.port]: 0 };
    for (let n = 0; n < 40; n += 1) counts[await portOf(pool.replica.query(whichPort))]! += 1;
    expect(counts).toEqual({ [first.port]: 30, [second.port]: 10 });
    await using spared = weighted(0, 1);
    expect(await readPorts(spared, 10)).toEqual(new Set([second.port]));
  });

  test("join and leave while the pool runs, and nothing that runs on them is cut off", async () => {
    const [first, second] = cluster.replicas;
    await using pool = createPool({ primaryUrl: cluster.primary.url, replicaUrls: [first.url], ...fast });
    const changes: MembershipChange[] = [];
    pool.on("membership", (change) => changes.push(change));
    await pool.start();
    expect(await readPorts(pool, 5)).toEqual(new Set([first.port]));
    const held = await pool.connect({ target: "replica" });
    pool.setReplicas([second.url]);
    await expect.poll(() => pool.stats().servers.at(-1)?.state).toBe("up");
    await expect.poll(() => readPorts(pool, 5)).toEqual(new Set([second.port]));
    expect(await portOf(held.query(whichPort))).toBe(first.port);
    held.release();
    expect(changes).toEqual([{ joined: [`127.0.0.1:${second.port}`], left: [`127.0.0.1:${first.port}`] }]);
    pool.setReplicas([]);
    expect(pool.stats().servers).toHaveLength(1);
    expect(await portOf(pool.replica.query(whichPort))).toBe(cluster.primary.port);
    expect(() => pool.setReplicas(["http://h", { url: second.url, weight: -1 }])).toThrow(
      'replicaUrls[0] has the scheme "http", not postgres; replicaUrls[1] has the weight -1, not a number from 0',
    );
  });
});

describe("a static topology", () => {
  test("believes the names, whatever the servers are", async () => {
    const [first] = cluster.replicas;
    await using pool = createPool({
      primaryUrl: cluster.primary.url,
      // As HAProxy's address for reads does while no standby is left.
      replicaUrls: [
        `postgres://${new URL(cluster.primary.url).host.replace("127.0.0.1", "localhost")}/postgres`.replace(
          "//",
          `//${new URL(first.url).username}:${new URL(first.url).password}@`,
        ),
      ],
      topology: "static",
      ...fast,
    });
    await pool.start();
    expect(pool.stats().servers.map(({ role, state }) => [role, state])).toEqual([
      ["primary", "up"],
      ["standby", "up"],
    ]);
    expect(await portOf(pool.replica.query(whichPort))).toBe(cluster.primary.port);
    expect(pool.stats().servers[1]!.connectionsOpened).toBe(1);
  });
});

describe("a provider", () => {
  test("brings servers the options do not name, and its silence changes nothing", async () => {
    const [first, second] = cluster.replicas;
    let answer: readonly TopologyMember[] | Error = [
      { host: "127.0.0.1", port: cluster.primary.port, role: "primary" },
      { host: "127.0.0.1", port: first.port, role: "replica" },
    ];
    await using pool = createPool({
      // Only a way in: any of the servers will do, for the login and the database.
      primaryUrl: second.url,
      topology: {
        name: "inventory",
        intervalMs: 20,
        members: async () => {
          if (answer instanceof Error) throw answer;
          return answer;
        },
      },
      ...fast,
    });
    await pool.start();
    expect(await portOf(pool.query(whichPort))).toBe(cluster.primary.port);
    expect(await readPorts(pool, 10)).toEqual(new Set([first.port]));
    expect(pool.stats().provider).toMatchObject({ name: "inventory", failure: undefined });

    answer = new Error("the inventory is away");
    await expect.poll(() => pool.stats().provider?.failure).toBe("the inventory is away");
    expect(await portOf(pool.query(whichPort))).toBe(cluster.primary.port);
    expect(() => pool.setReplicas([second.url])).toThrow("replicas come from the provider inventory");

    answer = [
      { host: "127.0.0.1", port: cluster.primary.port, role: "primary" },
      { host: "127.0.0.1", port: first.port, role: "replica", weight: 0 },
      { host: "127.0.0.1", port: second.port, role: "replica" },
    ];
    await expect.poll(() => pool.stats().servers).toHaveLength(3);
    await expect.poll(() => readPorts(pool, 10)).toEqual(new Set([second.port]));
  });

  test("that never answers leaves the servers that were named", async () => {
    await using pool = createPool({
      primaryUrl: cluster.primary.url,
      topology: { name: "nobody", intervalMs: 1_000, members: () => Promise.reject(new Error("nobody is there")) },
      ...fast,
    });
    await pool.start();
    expect(await portOf(pool.query(whichPort))).toBe(cluster.primary.port);
  });

  test("settles which of two writable servers is the primary", async () => {
    // Made from one template, so of one identity and one timeline.
    await using original = await startCluster({ version: 18 });
    await using copy = await startCluster({ version: 18 });
    await using pool = createPool({
      primaryUrl: original.primary.url,
      topology: {
        name: "inventory",
        intervalMs: 1_000,
        members: async () => [
          { host: "127.0.0.1", port: original.primary.port, role: "replica" },
          { host: "127.0.0.1", port: copy.primary.port, role: "primary" },
        ],
      },
      ...fast,
    });
    expect(await portOf(pool.query(whichPort))).toBe(copy.primary.port);
    expect(pool.stats().servers[0]).toMatchObject({ state: "refused" });
  });

  test("that speaks Patroni's REST leads to a promoted member, and to one that joined later", async () => {
    await using own = await startCluster({ version: 18, replicas: 2 });
    const [first, second] = own.replicas;
    const member = (server: TestServer, role: string, state = "running") => ({
      name: `pg${server.port}`,
      role,
      state,
      host: "127.0.0.1",
      port: server.port,
      api_url: api,
    });
    let api = "";
    let members: object[] = [];
    const rest = createServer((request, response) => {
      response.writeHead(request.url === "/cluster" ? 200 : 404, { "content-type": "application/json" });
      response.end(JSON.stringify({ members }));
    }).listen(0, "127.0.0.1");
    await once(rest, "listening");
    api = `http://127.0.0.1:${(rest.address() as AddressInfo).port}/patroni`;
    members = [member(own.primary, "leader"), member(first, "replica")];
    await using pool = createPool({
      primaryUrl: own.primary.url,
      topology: patroni({ urls: [api], intervalMs: 50 }),
      ...fast,
    });
    await pool.start();
    expect(await portOf(pool.query(whichPort))).toBe(own.primary.port);
    await own.primary.kill();
    members = [member(own.primary, "replica", "stopped"), member(first, "leader"), member(second, "replica")];
    const writing = pool.query("create table after_failover ()");
    await first.promote();
    await writing;
    expect(await portOf(pool.query(whichPort))).toBe(first.port);
    await expect
      .poll(() =>
        pool
          .stats()
          .servers.map(({ name }) => name)
          .sort(),
      )
      .toEqual([first.port, second.port].map((port) => `127.0.0.1:${port}`).sort());
    rest.close();
    rest.closeAllConnections();
  });
});
