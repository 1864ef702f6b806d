import { createHash } from "node:crypto";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { parseLsn, walSegmentName } from "@db/core";
import {
  createBackup,
  createWalReceiver,
  evaluateWal,
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
  verifyWal,
} from "@db/backup";
import { startCluster, type TestCluster } from "@db/testkit";
import type { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { currentLsn, fillWal, Ledger, ledgerRows } from "./ledger.ts";
import { restoredOwner, scratchDirectory, startRestored } from "./restored-cluster.ts";

// kill -9 at every commit step of every job: KILLS (default 52) of each of the five.
const wanted = Number(process.env["KILLS"] ?? 52);
const encryptionKey = "9f".repeat(32);
const segmentBytes = 1024 * 1024;
const random = seeded(20_261_121 + Number(process.env["SEED"] ?? 0));
let cluster: TestCluster;
let scratch: Awaited<ReturnType<typeof scratchDirectory>>;
const kills: Record<string, number> = {};
/** How many steps a job has, as far as one that ended told; a job is killed at any of them. */
const steps: Record<string, number> = { backup: 60, receive: 60, expire: 60, restore: 60, replace: 60 };

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

/** Runs a job that kills itself at one of its steps. @returns true when it was killed, false when it had ended before */
async function run(
  job: string,
  location: string,
  options: { readonly directory?: string; readonly while?: () => Promise<void> } = {},
): Promise<boolean> {
  const { directory = join(scratch.path, "spool") } = options;
  const dieAt = 1 + random(steps[job]!);
  const order = { job, url: cluster.primary.url, location, encryptionKey, dieAt, directory };
  const args = ["--conditions=@db/source", join(import.meta.dirname, "killed-job.ts"), JSON.stringify(order)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const exited = once(child, "exit") as Promise<[number | null, string | null]>;
  let errors = "";
  let told = "";
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  child.stdout.on("data", (chunk: Buffer) => (told += chunk.toString()));
  await options.while?.();
  // One that outlives what it was to do is killed from outside.
  const timer = setTimeout(() => child.kill("SIGKILL"), job === "receive" ? 3_000 : 60_000);
  const [code, signal] = await exited;
  clearTimeout(timer);
  if (signal === "SIGKILL") kills[job] = (kills[job] ?? 0) + 1;
  else expect({ code, errors }).toEqual({ code: 0, errors: "" });
  const took = Number(/done (\d+)/.exec(told)?.[1] ?? 0);
  if (took > 0) steps[job] = took;
  return signal === "SIGKILL";
}

/** Runs a job until it was killed often enough; `after` looks at what each run left. */
async function killOften(job: string, each: () => Promise<void>): Promise<void> {
  for (let turn = 0; (kills[job] ?? 0) < wanted; turn++) {
    expect(turn, `${job} was killed only ${kills[job] ?? 0} times`).toBeLessThan(wanted * 4);
    await each();
  }
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
  await killOften("receive", async () => {
    const write = async (): Promise<void> => {
      await ledger.add(client);
      await fillWal(client, 300_000 + random(900_000));
    };
    await run("receive", location, { while: write });
    const told = parseLsn((await client.query<{ lsn: string }>(slotSql)).rows[0]!.lsn);
    const { segments, partials } = await listWal(repository, systemIdentifier!);
    const segment = walSegmentName(1, told - 1n, segmentBytes);
    const tail = Number.parseInt(partials.get(segment)?.at(-1)?.slice(-8) ?? "0", 16);
    const have = segments.has(segment) || BigInt(tail) >= told % BigInt(segmentBytes);
    expect({ told, segment, have }).toMatchObject({ have: true });
  });
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
  const whole: string[] = [];
  await killOften("backup", async () => {
    await run("backup", location);
    const { backups } = await readCatalog(repository);
    for (const { label } of backups.filter((backup) => !whole.includes(backup.label))) {
      // Killed behind its record: then it is good all the same.
      await expect(verifyBackup({ repository, label, depth: "deep" })).resolves.toMatchObject({ ok: true });
      whole.push(label);
    }
  });
  for (const label of whole.slice(-2)) expect((await restoredRows(repository, label)).length).toBeGreaterThan(0);
  await createBackup({ url: cluster.primary.url, repository });
});

test("a killed expiry leaves every listed backup and all WAL behind it whole, and the next one ends what it began", async () => {
  // With the archive of the killed receiver: its WAL goes with the backups.
  const location = join(scratch.path, "receive");
  const repository = await openRepository(location, { encryptionKey });
  const client = await cluster.connect();
  const { url } = cluster.primary;
  const receive = async (): Promise<void> => {
    const receiver = createWalReceiver({ url, repository, slot: "mortal", spoolDirectory: join(scratch.path, "more") });
    await receiver.start(AbortSignal.timeout(30_000));
    await fillWal(client, 3_000_000);
    await receiver.reached(await currentLsn(client), AbortSignal.timeout(30_000));
    await receiver.stop();
  };
  await receive();
  await killOften("expire", async () => {
    while ((await listBackups(repository)).length < 2) {
      await createBackup({ url, repository });
      await receive();
    }
    await run("expire", location);
    // The lease of the one that died ends by itself; here there is no time for that.
    await rm(join(location, "leases"), { recursive: true, force: true });
    expect((await verifyBackup({ repository, depth: "listing" })).findings.filter(isCorrupt)).toEqual([]);
    const [newest] = await listBackups(repository);
    const { systemIdentifier } = newest!;
    const hole = evaluateWal(await listWal(repository, systemIdentifier), [newest!], segmentBytes, {}, Date.now());
    expect(hole.filter(({ id }) => id === "WAL-HOLE" || id === "WAL-GAP")).toEqual([]);
    await expect(verifyWal({ repository, systemIdentifier })).resolves.toMatchObject({ ok: true });
  });
  const rows = await restoredRows(repository);
  expect(rows).toEqual(await ledgerRows(client));
  await createBackup({ url, repository });
  await createBackup({ url, repository });
  const rules = { keepFull: 1, minVerified: 0, incompleteAfterMs: 0 };
  const plan = planExpiration(await readCatalog(repository), rules, Date.now() + 1_000);
  await expireBackups({ repository, plan });
  const { backups, unusable } = await readCatalog(repository);
  expect({ backups: backups.length, unusable }).toEqual({ backups: 1, unusable: [] });
  await expect(verifyBackup({ repository, depth: "deep" })).resolves.toMatchObject({ ok: true });
  await client.end();
});

test("a killed restore leaves no startable directory, and the next one takes its place", async () => {
  const location = join(scratch.path, "backup");
  const directory = join(scratch.path, "restored");
  const repository = await openRepository(location, { encryptionKey });
  await killOften("restore", async () => {
    const killed = await run("restore", location, { directory });
    const startable = existsSync(join(directory, "global/pg_control"));
    if (killed) expect(startable).toBe(false);
    else {
      expect(startable).toBe(true);
      await rm(directory, { recursive: true });
    }
  });
  const plan = await planRestore({ repository, directory });
  await restoreBackup({ repository, plan, durable: false });
  expect(existsSync(join(directory, "global/pg_control"))).toBe(true);
  expect(existsSync(join(directory, "restore.unfinished"))).toBe(false);
});

test("a cluster that a killed restore was to replace is whole, in its place or beside it, and the next one goes on", async () => {
  const location = join(scratch.path, "over");
  const folder = join(scratch.path, "replaced");
  await mkdir(folder);
  const directory = join(folder, "data");
  const repository = await openRepository(location, { encryptionKey });
  await createBackup({ url: cluster.primary.url, repository });
  await restoreBackup({ repository, plan: await planRestore({ repository, directory }), durable: false });
  // What the backup does not have, and would not bring back.
  await writeFile(join(directory, "base/1/16000"), "written since");
  const former = await digestsBelow(directory);
  await killOften("replace", async () => {
    const killed = await run("replace", location, { directory });
    const [kept, ...more] = (await readdir(folder)).filter((name) => name.startsWith("data.before-"));
    expect(more).toEqual([]);
    expect(await digestsBelow(kept === undefined ? directory : join(folder, kept))).toEqual(former);
    const startable = existsSync(join(directory, "global/pg_control"));
    if (kept !== undefined) expect(startable).toBe(!killed);
    if (killed) return;
    // As it was, for the next round.
    expect(existsSync(join(directory, "base/1/16000"))).toBe(false);
    await rm(directory, { recursive: true });
    await rename(join(folder, kept!), directory);
  });
});

test("every job was killed often enough", () => {
  expect(kills).toEqual({ receive: wanted, backup: wanted, expire: wanted, restore: wanted, replace: wanted });
});

/** The SHA-256 of every file below a directory, by its path. */
async function digestsBelow(directory: string): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    digests[relative(directory, path)] = createHash("sha256")
      .update(await readFile(path))
      .digest("hex");
  }
  return digests;
}

function isCorrupt({ id }: { readonly id: string }): boolean {
  return id === "BACKUP-CORRUPT";
}
