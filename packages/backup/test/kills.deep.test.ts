import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { parseLsn, walSegmentName } from "@db/core";
import {
  createBackup,
  createWalReceiver,
  expireBackups,
  listBackups,
  listWal,
  openRepository,
  planExpiration,
  planRestore,
  readCatalog,
  type Repository,
  restoreBackup,
  runRestoreDrill,
  verifyBackup,
} from "@db/backup";
import { startCluster, type TestCluster } from "@db/testkit";
import type { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { currentLsn, fillWal, Ledger, ledgerRows } from "./ledger.ts";
import { restoredOwner, scratchDirectory, startRestored } from "./restored-cluster.ts";

// kill -9 at every commit step of every job: 30 + 40 + 25 + 25 kills.
const encryptionKey = "9f".repeat(32);
const segmentBytes = 1024 * 1024;
const random = seeded(20_261_121);
let cluster: TestCluster;
let scratch: Awaited<ReturnType<typeof scratchDirectory>>;
let kills = 0;

beforeAll(async () => {
  cluster = await startCluster({ settings: { track_commit_timestamp: "on" }, initdbArguments: ["--wal-segsize=1"] });
  scratch = await scratchDirectory();
});

afterAll(async () => {
  await cluster?.stop();
  await scratch?.[Symbol.asyncDispose]();
});

/** The same numbers in every run, so that a failure comes again. */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Runs a job that kills itself at a step. @returns true when it was killed, false when it had ended before */
async function run(
  job: string,
  location: string,
  dieAt: number,
  options: { readonly directory?: string; readonly while?: () => Promise<void> } = {},
): Promise<boolean> {
  const { directory = join(scratch.path, "spool") } = options;
  const order = { job, url: cluster.primary.url, location, encryptionKey, dieAt, directory };
  const args = ["--conditions=@db/source", join(import.meta.dirname, "killed-job.ts"), JSON.stringify(order)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const exited = once(child, "exit") as Promise<[number | null, string | null]>;
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  child.stdout.resume();
  await options.while?.();
  // One that outlives what it was to do is killed from outside.
  const timer = setTimeout(() => child.kill("SIGKILL"), job === "receive" ? 3_000 : 60_000);
  const [code, signal] = await exited;
  clearTimeout(timer);
  if (signal === "SIGKILL") kills++;
  else expect({ code, errors }).toEqual({ code: 0, errors: "" });
  return signal === "SIGKILL";
}

async function restoredRows(repository: Repository, label?: string): Promise<number[]> {
  let found: number[] = [];
  const { findings } = await runRestoreDrill({
    repository,
    label,
    target: { type: "latest" },
    startCluster: startRestored,
    owner: await restoredOwner(),
    verify: async (db) => {
      found = await ledgerRows(db as unknown as Client);
      return [];
    },
  });
  expect(findings.filter(({ severity }) => severity === "critical")).toEqual([]);
  return found;
}

test("a killed WAL receiver never told the server of WAL that is not stored, and loses none", async () => {
  const location = join(scratch.path, "receive");
  const repository = await openRepository(location, { encryptionKey });
  const client = await cluster.connect();
  const ledger = await Ledger.create(client);
  const { url } = cluster.primary;
  const first = createWalReceiver({ url, repository, slot: "mortal", spoolDirectory: join(scratch.path, "first") });
  await first.start();
  await createBackup({ url, repository });
  const { systemIdentifier } = first.status();
  await first.stop();
  const slotSql = "select restart_lsn::text as lsn from pg_replication_slots where slot_name = 'mortal'";
  for (let turn = 0; turn < 40; turn++) {
    const write = async (): Promise<void> => {
      await ledger.add(client);
      await fillWal(client, 300_000 + random(900_000));
    };
    await run("receive", location, 1 + random(60), { while: write });
    const told = parseLsn((await client.query<{ lsn: string }>(slotSql)).rows[0]!.lsn);
    const { segments, partials } = await listWal(repository, systemIdentifier!);
    const segment = walSegmentName(1, told - 1n, segmentBytes);
    const tail = Number.parseInt(partials.get(segment)?.at(-1)?.slice(-8) ?? "0", 16);
    const have = segments.has(segment) || BigInt(tail) >= told % BigInt(segmentBytes);
    expect({ told, segment, have }).toMatchObject({ have: true });
  }
  const last = createWalReceiver({ url, repository, slot: "mortal", spoolDirectory: join(scratch.path, "last") });
  await last.start();
  await last.reached(await currentLsn(client), AbortSignal.timeout(30_000));
  expect(last.status().gaps).toEqual([]);
  await last.stop();
  await expect(restoredRows(repository)).resolves.toEqual(ledger.upTo(ledger.entries.length));
  await client.end();
});

test("a killed backup never lists as good unless it is", async () => {
  const location = join(scratch.path, "backup");
  const repository = await openRepository(location, { encryptionKey });
  for (let turn = 0; turn < 30; turn++) await run("backup", location, 1 + random(55));
  const { backups } = await readCatalog(repository);
  const report = await verifyBackup({ repository, depth: "deep" });
  expect(report.backups.filter(({ ok }) => !ok)).toEqual([]);
  for (const { label } of backups.slice(0, 2))
    expect((await restoredRows(repository, label)).length).toBeGreaterThan(0);
  await createBackup({ url: cluster.primary.url, repository });
});

test("a killed expiry leaves every listed backup whole, and the next one ends what it began", async () => {
  const location = join(scratch.path, "backup");
  const repository = await openRepository(location, { encryptionKey });
  const rules = { keepFull: 1, minVerified: 0 };
  for (let turn = 0; turn < 25; turn++) {
    while ((await listBackups(repository)).length < 2) await createBackup({ url: cluster.primary.url, repository });
    await run("expire", location, 1 + random(35));
    // The lease of the one that died ends by itself; here there is no time for that.
    await rm(join(location, "leases"), { recursive: true, force: true });
    expect((await verifyBackup({ repository, depth: "listing" })).findings.filter(isCorrupt)).toEqual([]);
  }
  await createBackup({ url: cluster.primary.url, repository });
  await createBackup({ url: cluster.primary.url, repository });
  const plan = planExpiration(await readCatalog(repository), { ...rules, incompleteAfterMs: 0 }, Date.now() + 1_000);
  await expireBackups({ repository, plan });
  const { backups, unusable } = await readCatalog(repository);
  expect({ backups: backups.length, unusable }).toEqual({ backups: 1, unusable: [] });
  await expect(verifyBackup({ repository, depth: "deep" })).resolves.toMatchObject({ ok: true });
});

test("a killed restore leaves no startable directory, and the next one takes its place", async () => {
  const location = join(scratch.path, "backup");
  const directory = join(scratch.path, "restored");
  const repository = await openRepository(location, { encryptionKey });
  for (let turn = 0; turn < 25; turn++) {
    const killed = await run("restore", location, 1 + random(40), { directory });
    if (killed) expect(existsSync(join(directory, "global/pg_control"))).toBe(false);
    else await rm(directory, { recursive: true });
  }
  const plan = await planRestore({ repository, directory });
  await restoreBackup({ repository, plan, durable: false });
  expect(existsSync(join(directory, "global/pg_control"))).toBe(true);
  expect(existsSync(join(directory, "restore.unfinished"))).toBe(false);
  expect(kills).toBeGreaterThanOrEqual(100);
});

function isCorrupt({ id }: { readonly id: string }): boolean {
  return id === "BACKUP-CORRUPT";
}
