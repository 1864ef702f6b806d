import { explainStatement, inspect, inspections } from "@db/monitor";
import { startCluster } from "@db/testkit";
import { describe, expect, test } from "vitest";

describe.each([12, 13, 14, 15, 16, 17, 18])("PostgreSQL %i", (version) => {
  test("answers every inspection, on the primary and on its standby, to a role with pg_monitor alone", async () => {
    await using cluster = await startCluster({
      version,
      replicas: 1,
      settings: { shared_preload_libraries: "pg_stat_statements" },
    });
    const client = await cluster.connect();
    await client.query(`create extension pg_stat_statements; create role watcher login; grant pg_monitor to watcher;
      create table parts (id serial primary key, kind int); insert into parts (kind) select 1 from generate_series(1, 100)`);
    await client.query("select kind from parts where id = 1");
    await client.query("set role watcher");
    for (const { name, since = 12 } of inspections) {
      const report = await inspect(client, name);
      expect(report.note === null || report.rows.length === 0, name).toBe(true);
      if (version < since) expect(report.note, name).toContain(`PostgreSQL ${version} does not tell`);
      for (const row of report.rows) {
        expect(Object.keys(row), name).toEqual(report.columns.map((column) => column.name));
        for (const { name: key, kind } of report.columns) {
          const value = row[key]!;
          if (value === null) continue;
          const type = ["text", "code", "time"].includes(kind) ? "string" : kind === "flag" ? "boolean" : "number";
          expect(typeof value, `${name}.${key}`).toBe(type);
        }
      }
    }
    await client.query("reset role");
    const { rows } = await inspect(client, "queries");
    const recorded = rows.find(({ query }) => String(query).startsWith("select kind from parts"))!;
    const plan = await explainStatement(client, String(recorded["queryId"]));
    expect(plan!.nodes.length, plan!.note ?? "").toBeGreaterThan(0);
    await client.end();
    const { Client } = await import("pg");
    const standby = new Client({ connectionString: cluster.replicas[0].url });
    await standby.connect();
    for (const { name } of inspections) expect((await inspect(standby, name)).name).toBe(name);
    await standby.end();
  });
});
