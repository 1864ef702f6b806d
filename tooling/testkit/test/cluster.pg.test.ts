import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startCluster, type TestCluster } from "@db/testkit";

describe("startCluster", () => {
  let cluster: TestCluster<1>;
  beforeAll(async () => {
    cluster = await startCluster({ replicas: 1, settings: { shared_preload_libraries: "pg_stat_statements" } });
  });
  afterAll(() => cluster.stop());

  test("starts a primary and a replica that streams from it", async () => {
    const client = await cluster.connect();
    const { rows } = await client.query("select application_name, state from pg_stat_replication");
    await client.end();
    expect(rows).toEqual([{ application_name: "replica_1", state: "streaming" }]);
  });

  test("keeps the port over a power failure", async () => {
    const { url } = cluster.primary;
    await cluster.primary.kill();
    expect(await cluster.primary.isRunning()).toBe(false);
    await cluster.primary.start();
    expect(cluster.primary.url).toBe(url);
  });

  test("gives each test a database, a copy of a template when asked", async () => {
    const first = await cluster.createDatabase();
    const client = await cluster.connect(first.name);
    await client.query("create table bill (id int)");
    await client.end();
    const copy = await cluster.createDatabase({ template: first.name });
    const second = await cluster.connect(copy.name);
    const { rows } = await second.query("select count(*)::int as count from bill");
    await second.end();
    expect(copy.url).toContain(copy.name);
    expect(rows).toEqual([{ count: 0 }]);
  });

  test("promotes a replica that then takes writes", async () => {
    await cluster.replicas[0].promote();
    const client = await cluster.replicas[0].connect();
    await client.query("create table written (id int)");
    await client.end();
  });
});
