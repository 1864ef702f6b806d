import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  compareDatabases,
  createDump,
  type DumpClient,
  openRepository,
  planDumpRestore,
  restoreDump,
  verifyDump,
} from "@db/backup";
import { findBinaries } from "@db/embedded";
import { startCluster } from "@db/testkit";
import { Client } from "pg";
import { describe, expect, test } from "vitest";
import { scratchDirectory } from "./restored-cluster.ts";

// Servers up to the newest pg_dump of this machine are dumped and restored; newer ones are refused before anything is begun.
const clients: readonly DumpClient[] = await findBinaries({ path: process.env["PATH"] ?? "" });
const newest = Math.max(
  0,
  ...clients
    .filter(({ tools, problem }) => problem === undefined && tools.includes("pg_dump"))
    .map(({ major }) => major),
);
const versions = [12, 13, 14, 15, 16, 17, 18];
process.stderr.write(`the newest pg_dump of this machine is ${newest === 0 ? "none" : newest}\n`);

async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  await client.connect();
  return client;
}

describe.each(versions.filter((version) => version <= newest))("PostgreSQL %i", (version) => {
  test("is dumped in parallel, verified, restored into a new database, and equal to the last row", async () => {
    await using cluster = await startCluster({ version });
    await using scratch = await scratchDirectory();
    const { url } = await cluster.createDatabase();
    const source = await connect(url);
    await source.query(`
      create type mood as enum ('good', 'bad');
      create table parent (id bigint generated always as identity primary key, m mood, doc jsonb, raw bytea);
      insert into parent (m, doc, raw)
      select (array['good', 'bad'])[n % 2 + 1]::mood, jsonb_build_object('n', n, 'ü', 'ß'), decode(md5(n::text), 'hex')
        from generate_series(1, 5000) n;
      create table child (parent bigint references parent, at timestamptz) partition by range (at);
      create table child_2026 partition of child for values from ('2026-01-01') to ('2027-01-01');
      insert into child select n, timestamptz '2026-03-01 00:00Z' + n * interval '1 min' from generate_series(1, 5000) n;
      create view seen as select count(*) from child;
      create function twice(n int) returns int language sql as 'select 2 * n'`);
    const repository = await openRepository(join(scratch.path, "repository"), { encryptionKey: "4e".repeat(32) });
    const { label, serverVersion } = await createDump({
      url,
      repository,
      clients,
      jobs: 2,
      workDirectory: scratch.path,
    });
    expect(Math.floor(serverVersion / 10_000)).toBe(version);
    await expect(verifyDump({ repository, label, depth: "deep" })).resolves.toMatchObject({ ok: true, findings: [] });
    const plan = await planDumpRestore({ repository, label, url, clients, database: "again" });
    await restoreDump({ repository, plan, url });
    const there = new URL(url);
    there.pathname = "/again";
    const restored = await connect(there.href);
    const report = await compareDatabases(source as never, restored as never);
    await Promise.all([source.end(), restored.end()]);
    expect(report.equal).toBe(true);
    expect(report.tables.map(({ table, restoredRows }) => [table, restoredRows])).toEqual([
      ["child_2026", 5_000],
      ["parent", 5_000],
    ]);
  });
});

describe.each(versions.filter((version) => version > newest))("PostgreSQL %i", (version) => {
  test("is refused for want of a client, which the hint names, and nothing is begun", async () => {
    await using cluster = await startCluster({ version });
    await using scratch = await scratchDirectory();
    const location = join(scratch.path, "repository");
    const repository = await openRepository(location);
    await expect(createDump({ url: cluster.primary.url, repository, clients })).rejects.toMatchObject({
      code: "BACKUP_CLIENT_MISSING",
      hint: expect.stringContaining(`postgresql-client-${version}`),
    });
    expect(existsSync(location)).toBe(false);
  });
});
