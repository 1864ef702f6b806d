import { stat } from "node:fs/promises";
import { join } from "node:path";
import { createBackup, openRepository, runRestoreDrill, verifyBackup } from "@db/backup";
import { startCluster } from "@db/testkit";
import { expect, test } from "vitest";
import { restoredOwner, scratchDirectory, startRestored } from "./restored-cluster.ts";

test("a relation of more than 1 GiB, in two files, is backed up, its pages verified, restored and equal", async () => {
  await using cluster = await startCluster({ settings: { max_wal_size: "4GB", wal_level: "replica" } });
  await using scratch = await scratchDirectory();
  const client = await cluster.connect();
  await client.query("create table large (n int, body text)");
  await client.query("alter table large alter body set storage plain");
  // Pages of four rows each: more bytes than work.
  await client.query("insert into large select n, repeat(md5(n::text), 60) from generate_series(1, 550000) n");
  const { rows } = await client.query<{ path: string }>("select pg_relation_filepath('large') as path");
  const later = await stat(join(cluster.primary.dataDirectory, `${rows[0]!.path}.1`));
  expect(later.size).toBeGreaterThan(0);
  const repository = await openRepository(join(scratch.path, "repository"), { encryptionKey: "8b".repeat(32) });
  const { label } = await createBackup({ url: cluster.primary.url, repository });
  await expect(verifyBackup({ repository, label, depth: "deep" })).resolves.toMatchObject({ ok: true, findings: [] });
  const report = await runRestoreDrill({
    repository,
    startCluster: startRestored,
    owner: await restoredOwner(),
    compareWith: client,
  });
  expect(report.findings).toEqual([]);
  expect(report.comparison?.tables.map(({ table, restoredRows }) => [table, restoredRows])).toEqual([
    ["large", 550_000],
  ]);
  await client.end();
});
