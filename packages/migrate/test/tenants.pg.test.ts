import { startCluster, type TestCluster } from "@db/testkit";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { migrateTenants, type Tenant } from "../src/index.ts";
import { makeWorkspace } from "./workspace.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(async () => {
  await cluster.stop();
});

function connector(url: string): Tenant["connect"] {
  return async () => {
    const client = new Client({ connectionString: url });
    await client.connect();
    return { db: client, end: () => client.end() };
  };
}

describe("migrateTenants", () => {
  test("brings schemas of one database to the same version, several at once, and tells of each", async () => {
    await using files = await makeWorkspace({
      "0001_t.sql": "create schema ${tenant};\ncreate table ${tenant}.t (id int);",
      "0002_index.sql": "create index concurrently t_id on ${tenant}.t (id);",
    });
    const { url } = await cluster.createDatabase();
    const names = ["ada", "bob", "cyd", "dan", "eve"];
    const tenants = names.map((name): Tenant => ({
      name,
      connect: connector(url),
      placeholders: { tenant: name },
      historySchema: `${name}_history`,
    }));
    const told: string[] = [];
    const options = { directory: files.directory, tenants, parallel: 3 };
    const first = await migrateTenants({ ...options, onTenant: ({ tenant }) => told.push(tenant) });
    expect(first).toMatchObject({ applied: 5, upToDate: 0, failed: 0 });
    expect(told).toHaveLength(5);
    expect(await migrateTenants(options)).toMatchObject({ applied: 0, upToDate: 5, failed: 0 });
    const client = new Client({ connectionString: url });
    await client.connect();
    const made = await client.query("select count(*)::int as n from pg_class where relname = 't_id'");
    await client.end();
    expect(made.rows).toEqual([{ n: 5 }]);
  });

  test("goes on after a tenant that failed, or stops when told to", async () => {
    await using files = await makeWorkspace({ "0001_t.sql": "create table t (id int);" });
    const good = await cluster.createDatabase();
    const bad = await cluster.createDatabase();
    const client = new Client({ connectionString: bad.url });
    await client.connect();
    await client.query("create table t ()");
    await client.end();
    const tenants: Tenant[] = [
      { name: "bad", connect: connector(bad.url) },
      { name: "gone", connect: () => Promise.reject(new Error("no such tenant")) },
      { name: "good", connect: connector(good.url) },
    ];
    const stopped = await migrateTenants({ directory: files.directory, tenants, parallel: 1, goOn: false });
    expect(stopped.runs.map(({ tenant }) => tenant)).toEqual(["bad"]);
    const report = await migrateTenants({ directory: files.directory, tenants, parallel: 1 });
    expect(report.runs.map(({ tenant, outcome }) => [tenant, outcome])).toEqual([
      ["bad", "failed"],
      ["gone", "failed"],
      ["good", "applied"],
    ]);
    expect(report.runs[0]?.report?.failed).toMatchObject({ id: "0001_t", sqlState: "42P07" });
  });
});
