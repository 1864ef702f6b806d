import { join } from "node:path";
import {
  createWalReceiver,
  listWal,
  localStorage,
  openRepository,
  StorageError,
  type WalReceiver,
  type WalReceiverOptions,
} from "@db/backup";
import { startCluster, type TestCluster } from "@db/testkit";
import type { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { currentLsn, fillWal } from "./ledger.ts";
import { scratchDirectory } from "./restored-cluster.ts";

let cluster: TestCluster;
let scratch: Awaited<ReturnType<typeof scratchDirectory>>;
let client: Client;

beforeAll(async () => {
  cluster = await startCluster({ initdbArguments: ["--wal-segsize=1"] });
  scratch = await scratchDirectory();
  client = await cluster.connect();
});

afterAll(async () => {
  await client?.end();
  await cluster?.stop();
  await scratch?.[Symbol.asyncDispose]();
});

function receiver(name: string, more: Omit<WalReceiverOptions, "url"> & { readonly url?: string }): WalReceiver {
  return createWalReceiver({
    url: cluster.primary.url,
    slot: name,
    spoolDirectory: join(scratch.path, `spool-${name}`),
    tailIntervalMs: 100,
    backoffMs: { first: 20, longest: 100 },
    ...more,
  });
}

test("while the repository is away the spool fills to its quota, the server keeps the rest, and nothing is lost", async () => {
  const disk = localStorage(join(scratch.path, "away"));
  let away = false;
  const storage: typeof disk = {
    ...disk,
    create: (key, options) => {
      if (away) throw new StorageError("the disk is full");
      return disk.create(key, options);
    },
  };
  const repository = await openRepository(storage);
  await using receiving = receiver("away", { repository, spoolBytes: 3 * 1024 * 1024 });
  await receiving.start(AbortSignal.timeout(20_000));
  await receiving.reached(await currentLsn(client), AbortSignal.timeout(20_000));
  away = true;
  await fillWal(client, 12_000_000);
  await expect.poll(() => receiving.status().spoolBytes, { timeout: 20_000 }).toBeGreaterThan(2 * 1024 * 1024);
  const { lastError, spoolBytes, durableLsn } = receiving.status();
  expect(lastError).toBe("the disk is full");
  expect(spoolBytes).toBeLessThanOrEqual(4 * 1024 * 1024);
  const told = await client.query<{ ok: boolean }>(
    "select restart_lsn <= $1::pg_lsn as ok from pg_replication_slots where slot_name = 'away'",
    [durableLsn],
  );
  expect(told.rows).toEqual([{ ok: true }]);
  away = false;
  await receiving.reached(await currentLsn(client), AbortSignal.timeout(30_000));
  expect(receiving.status()).toMatchObject({ gaps: [], waitingSegments: 0 });
  const { segments } = await listWal(repository, receiving.status().systemIdentifier!);
  expect(segments.size).toBeGreaterThanOrEqual(12);
});

test("goes on after the server was killed and started again, without a gap", async () => {
  const repository = await openRepository(join(scratch.path, "restart"));
  await using receiving = receiver("restarted", { repository });
  await receiving.start(AbortSignal.timeout(20_000));
  await fillWal(client, 1_500_000);
  await client.end();
  await cluster.primary.kill();
  await cluster.primary.start();
  client = await cluster.connect();
  await fillWal(client, 1_500_000);
  await receiving.reached(await currentLsn(client), AbortSignal.timeout(30_000));
  expect(receiving.status()).toMatchObject({ state: "streaming", gaps: [] });
  expect(receiving.status().reconnects).toBeGreaterThan(0);
});

test("a fast shutdown of the server does not wait for the receiver", async () => {
  const repository = await openRepository(join(scratch.path, "shutdown"));
  await using receiving = receiver("shutdown", { repository, tailIntervalMs: 60_000 });
  await receiving.start(AbortSignal.timeout(20_000));
  await fillWal(client, 300_000);
  await client.end();
  const began = Date.now();
  await cluster.primary.stop("fast");
  // Without the tail being stored when the server asks, it waits for wal_sender_timeout: a minute.
  expect(Date.now() - began).toBeLessThan(20_000);
  await cluster.primary.start();
  client = await cluster.connect();
});

test("another cluster at the same address is refused, and a role that may not replicate", async () => {
  const repository = await openRepository(join(scratch.path, "foreign"));
  await using foreign = receiver("foreign", { repository, systemIdentifier: "1234567890" });
  await expect(foreign.start(AbortSignal.timeout(20_000))).rejects.toMatchObject({ code: "BACKUP_CLUSTER_CHANGED" });
  expect(foreign.health()).toMatchObject({ status: "fail" });
  await client.query("create role nobody login password 'nobody'");
  const url = cluster.primary.url.replace("postgres:postgres@", "nobody:nobody@");
  await using refused = receiver("refused", { repository, url });
  await expect(refused.start(AbortSignal.timeout(20_000))).rejects.toMatchObject({
    code: "BACKUP_REPLICATION_REFUSED",
    reason: "role",
  });
});
