import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import {
  type BackupOptions,
  createBackup,
  createWalReceiver,
  listBackups,
  localStorage,
  openRepository,
  planRestore,
  restoreBackup,
  type Storage,
  verifyBackup,
  verifyWal,
} from "@db/backup";
import { systemClock } from "@db/core";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Damage, damagedStorage, randomDamage, randomFrom } from "./damaged-storage.ts";
import { currentLsn, fillWal } from "./ledger.ts";
import { scratchDirectory } from "./restored-cluster.ts";

// 2,000 random faults: 500 in each of three kinds of backup, 500 in a backup with its WAL archive. A fault in what a
// restore reads must stop that restore; one in what it does not read must be found by verification. FAULTS and SEED
// choose how many of each and which.
const encryptionKey = "ab".repeat(32);
const faults = Number(process.env["FAULTS"] ?? 500);
const seed = Number(process.env["SEED"] ?? 0);
let cluster: TestCluster;
let scratch: Awaited<ReturnType<typeof scratchDirectory>>;

beforeAll(async () => {
  cluster = await startCluster({ initdbArguments: ["--wal-segsize=1"] });
  scratch = await scratchDirectory();
  // A third of the files: every fault is a restore, and its cost is the number of files.
  const client = await cluster.connect();
  await client.query("update pg_database set datistemplate = false where datname in ('template0', 'template1')");
  await client.query("drop database template0");
  await client.query("drop database template1");
  await client.end();
});

afterAll(async () => {
  await cluster?.stop();
  await scratch?.[Symbol.asyncDispose]();
});

async function objectsOf(storage: Storage): Promise<{ key: string; sizeBytes: number }[]> {
  const objects: { key: string; sizeBytes: number }[] = [];
  for await (const { key, sizeBytes } of storage.list("")) objects.push({ key, sizeBytes });
  return objects;
}

const codes: ReadonlySet<string | undefined> = new Set([
  "BACKUP_CORRUPT",
  "BACKUP_NOT_FOUND",
  "BACKUP_OBJECT_NOT_FOUND",
  "BACKUP_TARGET_UNREACHABLE",
  "BACKUP_WRONG_KEY",
]);

/** What becomes of a fault: "found", or what went wrong. */
async function fate(storage: Storage, key: string | undefined, damage: Damage, lsn?: string): Promise<string> {
  const read = new Set<string>();
  const damaged = damagedStorage(storage, damage);
  const watched: Storage = {
    ...damaged,
    read: (name, options) => {
      read.add(name);
      return damaged.read(name, options);
    },
  };
  const directory = join(scratch.path, "restored");
  try {
    const repository = await openRepository(watched, { encryptionKey: key });
    const target = lsn === undefined ? ({ type: "immediate" } as const) : ({ type: "lsn", lsn } as const);
    const plan = await planRestore({ repository, directory, target });
    await restoreBackup({ repository, plan, durable: false });
  } catch (error) {
    const { code } = error as { code?: string };
    if (!codes.has(code)) return `fails with ${code}: ${(error as Error).message}`;
    return existsSync(join(directory, "global/pg_control")) ? "leaves what starts" : "found";
  }
  await rm(directory, { recursive: true });
  // What only tells of the archive, or of a verification, is no content: a restore does without, verification tells of it.
  const tells = /\/(verified|position)\.json$|\/wal\/(epochs|gaps)\//;
  const touched = [damage.key, ...(damage.kind === "swap" ? [damage.other] : [])];
  // What is gone was asked for, and the restore did without: a plain repository needs no identity.
  const wrong = damage.kind === "delete" ? [] : touched.filter((name) => read.has(name) && !tells.test(name));
  // A segment that the backup keeps a copy of in its own folder is not lost with the archive's.
  const segment = /\/wal\/.*\/([0-9A-F]{24})\.json$/.exec(damage.key)?.[1];
  if (segment !== undefined && [...read].some((name) => name.endsWith(`/wal/${segment}.sealed`))) return "found";
  return wrong.length > 0 ? `restored from ${wrong.join(", ")}` : verified(damaged, key);
}

/** Whether verification finds a fault in what the restore had no need of. */
async function verified(storage: Storage, key: string | undefined): Promise<string> {
  const repository = await openRepository(storage, { encryptionKey: key });
  const { findings } = await verifyBackup({ repository, record: false });
  const backups = await listBackups(repository);
  // A minute later: what a receiver writes down behind a tail is there by then.
  const clock = { ...systemClock, now: () => Date.now() + 120_000 };
  const wal = await verifyWal({ repository, systemIdentifier: backups[0]!.systemIdentifier, clock });
  const unverified = backups.some(({ verifiedAt }) => verifiedAt === null);
  return findings.length > 0 || wal.findings.length > 0 || unverified ? "found" : "not found by verification";
}

async function survey(storage: Storage, key: string | undefined, kind: number, lsn?: string): Promise<string[]> {
  // Leases come and go: one that cannot be read is none.
  const objects = (await objectsOf(storage)).filter(({ key: name }) => !name.startsWith("leases/"));
  const random = randomFrom(20_261_126 + seed * 1_000 + kind);
  const undetected: string[] = [];
  for (let round = 0; round < faults; round++) {
    const damage = randomDamage(objects, random);
    const result = await fate(storage, key, damage, lsn);
    if (result !== "found") undetected.push(`${result}: ${JSON.stringify(damage)}`);
  }
  return undetected;
}

const kinds: readonly [string, string | undefined, BackupOptions["compression"]][] = [
  ["an encrypted backup", encryptionKey, undefined],
  ["a plain backup", undefined, undefined],
  ["an encrypted backup the server compressed", encryptionKey, { by: "server", algorithm: "gzip" }],
];

for (const [index, [name, key, compression]] of kinds.entries()) {
  test(`no fault in ${name} goes unnoticed`, async () => {
    const storage = localStorage(join(scratch.path, `kind-${index}`));
    const repository = await openRepository(storage, { encryptionKey: key });
    await createBackup({ url: cluster.primary.url, repository, compression });
    await verifyBackup({ repository });
    await expect(survey(storage, key, index)).resolves.toEqual([]);
  });
}

test("no fault in a backup or the WAL behind it goes unnoticed on the way to a position", async () => {
  const storage = localStorage(join(scratch.path, "archive"));
  const repository = await openRepository(storage, { encryptionKey });
  const { url } = cluster.primary;
  const spoolDirectory = join(scratch.path, "spool");
  const receiver = createWalReceiver({ url, repository, slot: "survey", spoolDirectory, tailIntervalMs: 50 });
  await createBackup({ url, repository });
  await verifyBackup({ repository });
  // Behind the backup: WAL from before it would be nobody's loss.
  await receiver.start(AbortSignal.timeout(30_000));
  const client = await cluster.connect();
  await fillWal(client, 5_000_000);
  const lsn = await currentLsn(client);
  await fillWal(client, 1_000);
  await receiver.reached(await currentLsn(client), AbortSignal.timeout(30_000));
  const { systemIdentifier } = receiver.status();
  await receiver.stop();
  await client.end();
  await expect(verifyWal({ repository, systemIdentifier: systemIdentifier! })).resolves.toMatchObject({ findings: [] });
  await expect(survey(storage, encryptionKey, kinds.length, lsn)).resolves.toEqual([]);
});
