import { join } from "node:path";
import { createBackup, openRepository, runRestoreDrill, verifyBackup } from "@db/backup";
import { startCluster } from "@db/testkit";
import { describe, expect, test } from "vitest";
import { restoredOwner, scratchDirectory, startRestored } from "./restored-cluster.ts";

// Every dialect of BASE_BACKUP against the real server; versions other than 18 are fetched once per machine.
describe.each([12, 13, 14, 15, 16, 17, 18])("PostgreSQL %i", (version) => {
  test("is backed up while it is written to, restored, and holds what was committed", async () => {
    await using cluster = await startCluster({
      version,
      tablespaces: ["side"],
      initdbArguments: ["--wal-segsize=1"],
    });
    await using scratch = await scratchDirectory();
    const client = await cluster.connect();
    await client.query("create table account (id int primary key, balance bigint not null) tablespace side");
    await client.query("insert into account select n, 1000 from generate_series(1, 20000) n");
    const writer = await cluster.connect();
    const stop = new AbortController();
    const writes = (async (): Promise<number> => {
      let done = 0;
      // Money moves, the sum stays: a torn restore shows.
      while (!stop.signal.aborted) {
        await writer.query(
          "update account set balance = balance + case id % 2 when 0 then 1 else -1 end where id <= 2000",
        );
        done++;
      }
      return done;
    })();
    const repository = await openRepository(join(scratch.path, "repository"), { encryptionKey: "0f".repeat(32) });
    const backup = await createBackup({ url: cluster.primary.url, repository });
    stop.abort();
    expect(await writes).toBeGreaterThan(0);
    await writer.end();
    await client.end();
    expect(backup).toMatchObject({ status: "complete", tablespaces: [{ oid: expect.any(String) }] });
    await expect(verifyBackup({ repository, depth: "deep" })).resolves.toMatchObject({ ok: true, findings: [] });
    const report = await runRestoreDrill({
      repository,
      startCluster: startRestored,
      owner: await restoredOwner(),
      verify: async (db) => {
        const { rows } = await db.query<{ sum: string; count: string }>(
          "select sum(balance) as sum, count(*) as count from account",
        );
        expect(rows).toEqual([{ sum: "20000000", count: "20000" }]);
        return [];
      },
    });
    expect(report.findings).toEqual([]);
    expect(report.ok).toBe(true);
  });
});
