import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  createBackup,
  createWalReceiver,
  listWal,
  openRepository,
  planRestore,
  type RecoveryTarget,
  type RecoveryTimeline,
  type Repository,
  runRestoreDrill,
  type WalReceiver,
} from "@db/backup";
import { startCluster, type TestCluster } from "@db/testkit";
import type { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { currentLsn, fillWal, Ledger, ledgerRows } from "./ledger.ts";
import { restoredOwner, scratchDirectory, startRestored } from "./restored-cluster.ts";

const encryptionKey = "correct horse battery staple";
let cluster: TestCluster<1>;
let scratch: Awaited<ReturnType<typeof scratchDirectory>>;
let repository: Repository;
let ledger: Ledger;
let label: string;
let receiver: WalReceiver;

beforeAll(async () => {
  cluster = await startCluster({
    replicas: 1,
    settings: { track_commit_timestamp: "on" },
    initdbArguments: ["--wal-segsize=1"],
  });
  scratch = await scratchDirectory();
  repository = await openRepository(join(scratch.path, "repository"), { encryptionKey });
});

afterAll(async () => {
  await receiver?.stop({ timeoutMs: 100 });
  await cluster?.stop();
  await scratch?.[Symbol.asyncDispose]();
});

function receive(url: string): WalReceiver {
  return createWalReceiver({
    url,
    repository,
    slot: "receiver",
    spoolDirectory: join(scratch.path, "spool"),
    tailIntervalMs: 200,
    backoffMs: { first: 50, longest: 200 },
  });
}

/** The rows of a cluster recovered to a target from the first backup. */
async function recovered(target: RecoveryTarget, timeline?: RecoveryTimeline): Promise<number[]> {
  let found: number[] = [];
  const { findings } = await runRestoreDrill({
    repository,
    label,
    target,
    timeline,
    startCluster: startRestored,
    owner: await restoredOwner(),
    record: false,
    verify: async (db) => {
      found = await ledgerRows(db as unknown as Client);
      return [];
    },
  });
  expect(findings.filter(({ severity }) => severity === "critical")).toEqual([]);
  return found;
}

async function durable(client: Client): Promise<void> {
  await receiver.reached(await currentLsn(client), AbortSignal.timeout(20_000));
}

test("recovers to a position, a time, a transaction and a name: exactly what was committed by then", async () => {
  const client = await cluster.connect();
  ledger = await Ledger.create(client);
  receiver = receive(cluster.primary.url);
  await receiver.start(AbortSignal.timeout(20_000));
  await ledger.addMany(client, 3);
  label = (await createBackup({ url: cluster.primary.url, repository })).label;
  await ledger.addMany(client, 10);
  await fillWal(client, 3_000_000);
  const named = await ledger.addMany(client, 5);
  await client.query("select pg_create_restore_point('before the fall')");
  await fillWal(client, 2_000_000);
  await ledger.addMany(client, 5);
  await durable(client);
  const pick = ledger.entries[8]!;
  await expect(recovered({ type: "lsn", lsn: pick.lsn, inclusive: false })).resolves.toEqual(ledger.upTo(pick.n));
  await expect(recovered({ type: "time", time: pick.at })).resolves.toEqual(ledger.upTo(pick.n));
  await expect(recovered({ type: "time", time: pick.at, inclusive: false })).resolves.toEqual(ledger.upTo(pick.n - 1));
  await expect(recovered({ type: "xid", xid: pick.xid })).resolves.toEqual(ledger.upTo(pick.n));
  await expect(recovered({ type: "name", name: "before the fall" })).resolves.toEqual(ledger.upTo(named.n));
  await expect(recovered({ type: "latest" })).resolves.toEqual(ledger.upTo(ledger.entries.length));
  await client.end();
});

test("a time after the last transaction is all there is; an unknown name, a later time and a later transaction are refused", async () => {
  const directory = join(scratch.path, "never");
  const last = ledger.entries.at(-1)!;
  await expect
    .poll(async () => (await listWal(repository, receiver.status().systemIdentifier!)).position?.coveredUntil, {
      timeout: 10_000,
    })
    .satisfies((covered: string | undefined) => covered !== undefined && covered > last.at);
  const atEnd = await planRestore({ repository, label, directory, target: { type: "time", time: last.at } });
  expect(atEnd.findings.map(({ id }) => id)).toEqual(["RESTORE-TARGET-AT-END"]);
  await expect(recovered({ type: "time", time: last.at })).resolves.toEqual(ledger.upTo(last.n));
  const name = { type: "name", name: "no such point" } as const;
  await expect(planRestore({ repository, label, directory, target: name })).rejects.toMatchObject({
    code: "BACKUP_TARGET_UNREACHABLE",
  });
  const later = { type: "xid", xid: String(Number(last.xid) + 1) } as const;
  await expect(planRestore({ repository, label, directory, target: later })).rejects.toMatchObject({
    code: "BACKUP_TARGET_UNREACHABLE",
    message: `transaction ${later.xid} is not in the stored WAL, whose newest is ${last.xid}`,
  });
  const own = await planRestore({ repository, label, directory, target: { type: "xid", xid: last.xid } });
  expect(own.findings.map(({ id }) => id)).toEqual(["RESTORE-TARGET-UNPROVEN"]);
  const time = { type: "time", time: new Date(Date.now() + 60_000).toISOString() } as const;
  await expect(planRestore({ repository, label, directory, target: time })).rejects.toMatchObject({
    code: "BACKUP_TARGET_UNREACHABLE",
  });
});

test("follows the server over two promotions, and recovers on both sides of each fork", async () => {
  const before = ledger.entries.length;
  await cluster.primary.kill();
  await receiver.stop({ timeoutMs: 100 });
  const replica = cluster.replicas[0];
  await replica.promote();
  receiver = receive(replica.url);
  await receiver.start(AbortSignal.timeout(20_000));
  let client = await replica.connect();
  const survived = (await ledgerRows(client)).length;
  expect(survived).toBe(before);
  const onSecond = await ledger.addMany(client, 6);
  await fillWal(client, 1_500_000);
  await ledger.addMany(client, 2);
  await durable(client);
  await client.end();
  // The same server once more: back into recovery, and promoted to the next timeline under the running receiver.
  await replica.stop("fast");
  await writeFile(join(replica.dataDirectory, "standby.signal"), "");
  await replica.start();
  await replica.promote();
  client = await replica.connect();
  const onThird = await ledger.addMany(client, 4);
  await fillWal(client, 1_500_000);
  await ledger.addMany(client, 3);
  await durable(client);
  const { histories, gaps } = await listWal(repository, receiver.status().systemIdentifier!);
  expect(gaps).toEqual([]);
  expect(histories).toEqual([2, 3]);
  const onFirst = ledger.entries[before - 3]!;
  for (const entry of [onFirst, onSecond, onThird]) {
    await expect(recovered({ type: "time", time: entry.at })).resolves.toEqual(ledger.upTo(entry.n));
  }
  await expect(recovered({ type: "xid", xid: onSecond.xid }, 2)).resolves.toEqual(ledger.upTo(onSecond.n));
  await expect(recovered({ type: "latest" }, "current")).resolves.toEqual(ledger.upTo(before));
  await expect(recovered({ type: "latest" })).resolves.toEqual(ledger.upTo(ledger.entries.length));
  await expect(
    planRestore({ repository, label, directory: join(scratch.path, "never"), timeline: 9 }),
  ).rejects.toMatchObject({ code: "BACKUP_INVALID_TARGET" });
  const nine = { repository, label, directory: join(scratch.path, "never"), timeline: 9 } as const;
  await expect(planRestore({ ...nine, target: { type: "latest" } })).rejects.toMatchObject({
    code: "BACKUP_TARGET_UNREACHABLE",
  });
  await client.end();
});
