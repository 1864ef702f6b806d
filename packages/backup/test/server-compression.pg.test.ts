import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { createBackup, openRepository, readCatalog, runRestoreDrill, verifyBackup } from "@db/backup";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { restoredOwner, scratchDirectory, startRestored } from "./restored-cluster.ts";

const encryptionKey = "17".repeat(32);
const gzip = { algorithm: "gzip", by: "server" } as const;
let cluster: TestCluster;
let scratch: Awaited<ReturnType<typeof scratchDirectory>>;

beforeAll(async () => {
  cluster = await startCluster({ tablespaces: ["side"], initdbArguments: ["--wal-segsize=1"] });
  scratch = await scratchDirectory();
  const client = await cluster.connect();
  await client.query("create table kept as select n, md5(n::text) as body from generate_series(1, 60000) n");
  await client.query("create table moved tablespace side as select generate_series(1, 1000) as n");
  await client.end();
});

afterAll(async () => {
  await cluster?.stop();
  await scratch?.[Symbol.asyncDispose]();
});

test("archives the server compressed are checked, verified deeply and restored, tablespaces too", async () => {
  const repository = await openRepository(join(scratch.path, "gzip"), { encryptionKey });
  const source = await cluster.connect();
  let current = 0;
  const report = await createBackup({
    url: cluster.primary.url,
    repository,
    compression: gzip,
    onProgress: (progress) => {
      if (progress.phase === "copy") current = progress.current;
    },
  });
  expect(current).toBeGreaterThanOrEqual(report.bytes);
  expect(report.storedBytes).toBeLessThan(report.bytes / 2);
  await expect(verifyBackup({ repository, depth: "deep" })).resolves.toMatchObject({ ok: true, findings: [] });
  const drill = await runRestoreDrill({
    repository,
    startCluster: startRestored,
    owner: await restoredOwner(),
    compareWith: source,
  });
  expect(drill).toMatchObject({ ok: true, findings: [], comparison: { equal: true } });
  const script = join(repository.location, "rescue.mjs");
  const rescued = join(scratch.path, "rescued");
  const environment = { env: { ...process.env, BACKUP_ENCRYPTION_KEY: encryptionKey } };
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [script, "restore", report.label, rescued],
    environment,
  );
  expect(stdout).toContain("restored");
  await source.end();
});

test("a server built without the algorithm is named as such, and nothing is left of the attempt", async () => {
  const repository = await openRepository(join(scratch.path, "zstd"), { encryptionKey });
  const compression = { algorithm: "zstd", by: "server", workers: 2 } as const;
  await expect(createBackup({ url: cluster.primary.url, repository, compression })).rejects.toMatchObject({
    code: "BACKUP_UNSUPPORTED_SERVER",
    message: "the server cannot compress with zstd",
  });
  await expect(readCatalog(repository)).resolves.toMatchObject({ backups: [], unusable: [] });
});

test("contradictions about who compresses are refused together", async () => {
  const repository = await openRepository(join(scratch.path, "never"), { encryptionKey });
  const compression = { algorithm: "none", by: "server", workers: 2 } as const;
  await expect(createBackup({ url: cluster.primary.url, repository, compression })).rejects.toMatchObject({
    code: "BACKUP_INVALID_OPTIONS",
    message: expect.stringMatching(/workers by the server needs zstd; .*by server needs an algorithm/),
  });
});
