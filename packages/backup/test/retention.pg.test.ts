import { readdir } from "node:fs/promises";
import { join } from "node:path";
import {
  createBackup,
  createWalReceiver,
  expireBackups,
  listBackups,
  markBackup,
  openRepository,
  planExpiration,
  planRestore,
  readCatalog,
  restoreBackup,
  runRestoreDrill,
  verifyBackup,
} from "@db/backup";
import { startCluster, type TestCluster } from "@db/testkit";
import type { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { currentLsn, fillWal, Ledger, ledgerRows } from "./ledger.ts";
import { restoredOwner, scratchDirectory, startRestored } from "./restored-cluster.ts";

let cluster: TestCluster;
let scratch: Awaited<ReturnType<typeof scratchDirectory>>;

beforeAll(async () => {
  cluster = await startCluster({ settings: { track_commit_timestamp: "on" }, initdbArguments: ["--wal-segsize=1"] });
  scratch = await scratchDirectory();
});

afterAll(async () => {
  await cluster?.stop();
  await scratch?.[Symbol.asyncDispose]();
});

test("after an expiry the backups that stay still recover to any later moment", async () => {
  const { url } = cluster.primary;
  const repository = await openRepository(join(scratch.path, "wal"), { encryptionKey: "correct horse battery" });
  const client = await cluster.connect();
  const ledger = await Ledger.create(client);
  const spoolDirectory = join(scratch.path, "spool");
  await using receiver = createWalReceiver({ url, repository, spoolDirectory, tailIntervalMs: 100 });
  await receiver.start(AbortSignal.timeout(20_000));
  const labels: string[] = [];
  for (let turn = 0; turn < 3; turn++) {
    labels.push((await createBackup({ url, repository })).label);
    await ledger.addMany(client, 3);
    await fillWal(client, 2_000_000);
  }
  await receiver.reached(await currentLsn(client), AbortSignal.timeout(20_000));
  await verifyBackup({ repository });
  await markBackup(repository, labels[1]!, { kind: "hold", reason: "asked for", now: Date.now() });
  const before = await readCatalog(repository);
  const plan = planExpiration(before, { keepFull: 1 }, Date.now());
  expect(plan.expire.map(({ label }) => label)).toEqual([labels[0]]);
  expect(plan.wal?.[0]?.expire.length).toBeGreaterThan(0);
  const report = await expireBackups({ repository, plan });
  expect(report).toMatchObject({ removed: [labels[0]], skipped: [], walFilesRemoved: plan.wal![0]!.expire.length });
  const target = { type: "time", time: ledger.entries[4]!.at } as const;
  let found: number[] = [];
  const { findings } = await runRestoreDrill({
    repository,
    label: labels[1],
    target,
    startCluster: startRestored,
    owner: await restoredOwner(),
    verify: async (db) => {
      found = await ledgerRows(db as unknown as Client);
      return [];
    },
  });
  expect(findings).toEqual([]);
  expect(found).toEqual(ledger.upTo(5));
  await client.end();
});

test("a backup that is being restored is left, and one held since the plan was made", async () => {
  const repository = await openRepository(join(scratch.path, "leases"));
  const { url } = cluster.primary;
  const first = await createBackup({ url, repository });
  const second = await createBackup({ url, repository });
  await createBackup({ url, repository });
  await verifyBackup({ repository });
  const plan = planExpiration(await readCatalog(repository), { keepFull: 1 }, Date.now());
  expect(plan.expire).toHaveLength(2);
  await markBackup(repository, second.label, { kind: "hold", now: Date.now() });
  const directory = join(scratch.path, "restoring");
  const restorePlan = await planRestore({ repository, directory, label: first.label });
  let report: Awaited<ReturnType<typeof expireBackups>> | undefined;
  const { promise: reading, resolve } = Promise.withResolvers<void>();
  const restoring = restoreBackup({ repository, plan: restorePlan, durable: false, onProgress: () => resolve() });
  await reading;
  report = await expireBackups({ repository, plan });
  await restoring;
  expect(report.skipped.map(({ reason }) => reason).sort()).toEqual(["being restored", "marked hold"]);
  expect(await listBackups(repository)).toHaveLength(3);
  await markBackup(repository, second.label, { kind: "none", now: Date.now() });
  await expect(expireBackups({ repository, plan })).resolves.toMatchObject({ skipped: [] });
  expect(await listBackups(repository)).toHaveLength(1);
  await expect(readdir(join(repository.location, "leases"))).rejects.toMatchObject({ code: "ENOENT" });
});
