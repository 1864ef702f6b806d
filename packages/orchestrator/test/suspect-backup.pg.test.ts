import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "@db/config";
import { startCluster } from "@db/testkit";
import { expect, test } from "vitest";
import { createOrchestrator, type OrchestratorEvents, standingFindings } from "../src/index.ts";

test("a backup with a broken page is an alert when it is taken, and stands in the report after that", async () => {
  await using cluster = await startCluster();
  const folder = await mkdtemp(join(tmpdir(), "suspect-"));
  try {
    const client = await cluster.connect();
    await client.query(
      "create table damaged as select n, repeat(md5(n::text), 20) as body from generate_series(1, 500) n",
    );
    const { rows } = await client.query<{ path: string }>("select pg_relation_filepath('damaged') as path");
    await client.end();
    await cluster.primary.stop("fast");
    {
      await using file = await open(join(cluster.primary.dataDirectory, rows[0]!.path), "r+");
      await file.write(Buffer.from("a dying disk wrote this"), 0, 20, 3 * 8_192 + 4_000);
    }
    await cluster.primary.start();
    const { config } = await loadConfig({
      env: { DATABASE_URL: cluster.primary.url, BACKUP_PATH: join(folder, "repository") },
      readFiles: false,
    });
    const orchestrator = createOrchestrator(config);
    try {
      const alerts: OrchestratorEvents["alert:firing"][] = [];
      orchestrator.events.on("alert:firing", (alert) => alerts.push(alert));
      const { label, status } = await orchestrator.backups.run();
      expect(status).toBe("suspect");
      expect(alerts).toEqual([
        { rule: "BACKUP-SUSPECT", severity: "critical", summary: expect.stringContaining(label) as string },
      ]);
      const standing = await standingFindings(orchestrator);
      // No good backup is left to fall back to, which is worse still.
      expect(standing.map(({ id }) => id)).toEqual(expect.arrayContaining(["BACKUP-NONE", "BACKUP-SUSPECT"]));
    } finally {
      await orchestrator.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
