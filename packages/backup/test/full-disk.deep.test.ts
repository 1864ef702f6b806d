import { execFileSync } from "node:child_process";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  createBackup,
  createWalReceiver,
  openRepository,
  planRestore,
  readCatalog,
  restoreBackup,
  verifyBackup,
  verifyWal,
  type WalReceiver,
  type WalReceiverOptions,
} from "@db/backup";
import { startCluster, type TestCluster } from "@db/testkit";
import type { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { currentLsn, fillWal } from "./ledger.ts";
import { scratchDirectory } from "./restored-cluster.ts";

// Real file systems of a few megabytes: only root may mount them.
const root = process.platform === "linux" && process.getuid?.() === 0 && canMount();
if (!root) console.warn("skipped: full disks need Linux and the right to mount a tmpfs");

function canMount(): boolean {
  try {
    execFileSync("unshare", ["--mount", "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

const encryptionKey = "3d".repeat(32);
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

interface SmallDisk extends AsyncDisposable {
  readonly path: string;
  /** Gives it another size, megabytes. */
  resize(megabytes: number): void;
}

async function smallDisk(name: string, megabytes: number): Promise<SmallDisk> {
  const path = join(scratch.path, name);
  await mkdir(path);
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m,mode=0700`, "tmpfs", path]);
  return {
    path,
    resize: (size) => void execFileSync("mount", ["-o", `remount,size=${size}m`, path]),
    [Symbol.asyncDispose]: async () => void execFileSync("umount", ["--lazy", path]),
  };
}

/** Segments that do not become smaller. */
async function fillWithNoise(megabytes: number): Promise<void> {
  await client.query("create table if not exists noise (b bytea)");
  await client.query("alter table noise alter b set storage external");
  const oneMegabyte =
    "select string_agg(sha256(random()::text::bytea || n::text::bytea), '') from generate_series(1, 32768) n";
  for (let n = 0; n < megabytes; n++) await client.query(`insert into noise values ((${oneMegabyte}))`);
}

function receiver(name: string, more: Omit<WalReceiverOptions, "url">): WalReceiver {
  return createWalReceiver({
    url: cluster.primary.url,
    slot: name,
    spoolDirectory: join(scratch.path, `spool-${name}`),
    tailIntervalMs: 100,
    backoffMs: { first: 20, longest: 100 },
    ...more,
  });
}

/** What the server may let go of is stored. */
async function slotIsBehind(slot: string, durableLsn: string | null): Promise<boolean> {
  // Nothing stored yet, nothing told.
  const sql =
    "select $1::pg_lsn is null or restart_lsn <= $1::pg_lsn as ok from pg_replication_slots where slot_name = $2";
  return (await client.query<{ ok: boolean }>(sql, [durableLsn, slot])).rows[0]!.ok;
}

describe.skipIf(!root)("a full disk", () => {
  test("under the repository ends a backup, leaves it as it was, and the next one works when there is room", async () => {
    await using disk = await smallDisk("repository", 2);
    const repository = await openRepository(join(disk.path, "backups"), { encryptionKey });
    const { url } = cluster.primary;
    await expect(createBackup({ url, repository })).rejects.toMatchObject({
      code: "BACKUP_STORAGE",
      message: expect.stringContaining("ENOSPC"),
      hint: expect.stringContaining("Free space"),
    });
    await expect(readCatalog(repository)).resolves.toMatchObject({ backups: [], unusable: [] });
    const left = await readdir(disk.path, { recursive: true });
    expect(left.filter((name) => /sealed|unfinished|keys\/./.test(name))).toEqual([]);
    disk.resize(200);
    await createBackup({ url, repository });
    await expect(verifyBackup({ repository, depth: "deep" })).resolves.toMatchObject({ ok: true, findings: [] });
  });

  test("under the repository of a receiver keeps WAL in the spool and on the server until there is room", async () => {
    await using disk = await smallDisk("archive", 4);
    const repository = await openRepository(disk.path, { encryptionKey });
    await using receiving = receiver("full_archive", { repository, spoolBytes: 3 * 1024 * 1024 });
    await receiving.start(AbortSignal.timeout(20_000));
    await fillWithNoise(10);
    await expect.poll(() => receiving.status().lastError, { timeout: 30_000 }).toMatch(/ENOSPC/);
    await expect(slotIsBehind("full_archive", receiving.status().durableLsn)).resolves.toBe(true);
    expect(receiving.health()).toMatchObject({ status: "fail" });
    expect(receiving.status().repositoryError).toMatch(/ENOSPC/);
    disk.resize(200);
    await receiving.reached(await currentLsn(client), AbortSignal.timeout(50_000));
    const { systemIdentifier, ...status } = receiving.status();
    expect(status).toMatchObject({ gaps: [], repositoryError: null });
    await expect(verifyWal({ repository, systemIdentifier: systemIdentifier! })).resolves.toMatchObject({
      findings: [],
    });
  });

  test("under the spool is told, WAL stays on the server, and goes on when there is room", async () => {
    await using disk = await smallDisk("spool", 1);
    const repository = await openRepository(join(scratch.path, "spooled"), { encryptionKey });
    await writeFile(join(disk.path, "ballast"), Buffer.alloc(700 * 1024));
    await using receiving = receiver("full_spool", { repository, spoolDirectory: disk.path });
    await receiving.start(AbortSignal.timeout(20_000));
    await fillWithNoise(3);
    await expect
      .poll(() => receiving.status().lastError, { timeout: 30_000 })
      .toMatch(/cannot write WAL to the spool .*ENOSPC/);
    await expect(slotIsBehind("full_spool", receiving.status().durableLsn)).resolves.toBe(true);
    disk.resize(20);
    await receiving.reached(await currentLsn(client), AbortSignal.timeout(50_000));
    expect(receiving.status()).toMatchObject({ state: "streaming", gaps: [] });
    await receiving.stop();
    // A folder with something of somebody else's in it: only segments were touched.
    expect(await readdir(disk.path)).toEqual(["ballast"]);
  });

  test("under a restore leaves nothing that starts, and the same restore goes on when there is room", async () => {
    await using disk = await smallDisk("target", 8);
    const repository = await openRepository(join(scratch.path, "restored-from"), { encryptionKey });
    await createBackup({ url: cluster.primary.url, repository });
    const directory = join(disk.path, "data");
    const restore = async () => restoreBackup({ repository, plan: await planRestore({ repository, directory }) });
    await expect(restore()).rejects.toMatchObject({
      code: "BACKUP_STORAGE",
      hint: expect.stringContaining("Free space there"),
    });
    expect(await readdir(join(directory, "global"))).not.toContain("pg_control");
    disk.resize(300);
    expect((await restore()).reusedFiles).toBeGreaterThan(10);
    expect(await readdir(join(directory, "global"))).toContain("pg_control");
  });
});

test("a server that stops answering is left and found again, without a gap", async () => {
  const repository = await openRepository(join(scratch.path, "frozen"), { encryptionKey });
  await using receiving = receiver("frozen", { repository, idleTimeoutMs: 2_000 });
  await receiving.start(AbortSignal.timeout(20_000));
  await receiving.reached(await currentLsn(client), AbortSignal.timeout(20_000));
  const sql = "select active_pid as pid from pg_replication_slots where slot_name = 'frozen'";
  const { pid } = (await client.query<{ pid: number }>(sql)).rows[0]!;
  process.kill(pid, "SIGSTOP");
  try {
    await fillWal(client, 2_000_000);
    await expect.poll(() => receiving.status().reconnects, { timeout: 30_000 }).toBeGreaterThan(0);
    expect(receiving.status().lastError).toMatch(/silent|aborted|is active/);
  } finally {
    process.kill(pid, "SIGCONT");
  }
  await receiving.reached(await currentLsn(client), AbortSignal.timeout(50_000));
  expect(receiving.status()).toMatchObject({ state: "streaming", gaps: [] });
});
