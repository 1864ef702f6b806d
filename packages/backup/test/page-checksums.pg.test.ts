import { open } from "node:fs/promises";
import { join } from "node:path";
import {
  createBackup,
  evaluateBackups,
  expireBackups,
  listBackups,
  openRepository,
  planExpiration,
  planRestore,
  readCatalog,
  type Repository,
  restoreBackup,
  verifyBackup,
} from "@db/backup";
import { noMetrics } from "@db/core";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { firstBlockOf, PageCheck, pageChecksum } from "../src/page-checksum.ts";
import { scratchDirectory } from "./restored-cluster.ts";

const pageBytes = 8_192;
let cluster: TestCluster;
let scratch: Awaited<ReturnType<typeof scratchDirectory>>;
let repository: Repository;
let good: string;
let path: string;

beforeAll(async () => {
  cluster = await startCluster({ initdbArguments: ["--wal-segsize=1"] });
  scratch = await scratchDirectory();
  repository = await openRepository(join(scratch.path, "repository"), { encryptionKey: "1f".repeat(32) });
  const client = await cluster.connect();
  await client.query(
    "create table damaged as select n, repeat(md5(n::text), 20) as body from generate_series(1, 2000) n",
  );
  await client.query("checkpoint");
  const { rows } = await client.query<{ path: string }>("select pg_relation_filepath('damaged') as path");
  path = rows[0]!.path;
  await client.end();
  good = (await createBackup({ url: cluster.primary.url, repository })).label;
});

afterAll(async () => {
  await cluster?.stop();
  await scratch?.[Symbol.asyncDispose]();
});

/** Flips one bit of a page on the server's disk, as a dying disk does. */
async function damage(block: number): Promise<void> {
  await cluster.primary.stop("fast");
  await using file = await open(join(cluster.primary.dataDirectory, path), "r+");
  const at = block * pageBytes + 5_000;
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
  buffer[0]! ^= 4;
  await file.write(buffer, 0, 1, at);
  await cluster.primary.start();
}

test("every page of a server has the checksum computed here, and one bit more has another", async () => {
  await using file = await open(join(cluster.primary.dataDirectory, path), "r");
  const page = Buffer.alloc(pageBytes);
  let pages = 0;
  for (; (await file.read(page, 0, pageBytes, pages * pageBytes)).bytesRead === pageBytes; pages++) {
    // The file was extended by more than is used.
    if (page.every((byte) => byte === 0)) break;
    expect([pages, pageChecksum(page, pages)]).toEqual([pages, page.readUInt16LE(8)]);
    page[4_321]! ^= 1;
    expect(pageChecksum(page, pages)).not.toBe(page.readUInt16LE(8));
  }
  expect(pages).toBeGreaterThan(100);
});

test("pages are found in chunks of any size, in later files of a relation too", async () => {
  await using file = await open(join(cluster.primary.dataDirectory, path), "r");
  const whole = await file.readFile();
  whole[3 * pageBytes + 77]! ^= 1;
  for (const size of [1_000, pageBytes, 3 * pageBytes + 1, whole.length]) {
    const check = new PageCheck(0, pageBytes, 2n ** 63n);
    for (let at = 0; at < whole.length; at += size) check.write(whole.subarray(at, at + size));
    expect([size, check.broken]).toEqual([size, [3]]);
  }
  // Written after the backup began: WAL repairs it.
  const later = new PageCheck(0, pageBytes, 0n);
  later.write(whole);
  expect(later.broken).toEqual([]);
  expect(firstBlockOf("base/5/16384.2", pageBytes)).toBe(262_144);
  expect(firstBlockOf("pg_tblspc/16385/PG_18_202506291/5/16390_fsm", pageBytes)).toBe(0);
  for (const other of ["global/pg_control", "base/5/PG_VERSION", "base/5/pg_filenode.map", "pg_xact/0000"])
    expect(firstBlockOf(other, pageBytes)).toBeUndefined();
});

test("a broken page on the server keeps the data, marks the backup suspect and raises an alert", async () => {
  await expect(verifyBackup({ repository, label: good, depth: "deep" })).resolves.toMatchObject({ ok: true });
  await damage(7);
  const gauges = new Map<string, number>();
  const metrics = { ...noMetrics, gauge: (name: string, value: number) => void gauges.set(name, value) };
  const report = await createBackup({ url: cluster.primary.url, repository, metrics });
  expect(gauges.get("db_backup_suspect")).toBe(1);
  expect(report).toMatchObject({ status: "suspect", findings: [{ id: "BACKUP-SUSPECT", severity: "critical" }] });
  const backups = await listBackups(repository);
  expect(backups.map(({ label, status }) => [label, status])).toEqual([
    [report.label, "suspect"],
    [good, "complete"],
  ]);
  expect(evaluateBackups(backups, {}, Date.now())).toMatchObject([{ id: "BACKUP-SUSPECT", severity: "critical" }]);
  // It is all there, the broken page as the server had it, and deep verification says which page that is.
  const deep = await verifyBackup({ repository, label: report.label, depth: "deep" });
  expect(deep.findings).toMatchObject([
    { id: "BACKUP-PAGES", severity: "warn", title: expect.stringContaining(`${path} (7)`) },
  ]);
  const directory = join(scratch.path, "suspect");
  await restoreBackup({
    repository,
    plan: await planRestore({ repository, directory, label: report.label }),
    durable: false,
  });
  await using restored = await open(join(directory, path), "r");
  await using onServer = await open(join(cluster.primary.dataDirectory, path), "r");
  expect((await restored.readFile()).equals(await onServer.readFile())).toBe(true);
});

test("retention never lets the good backup go for suspect ones, and a restore prefers the good one", async () => {
  await createBackup({ url: cluster.primary.url, repository });
  const catalog = await readCatalog(repository);
  expect(catalog.backups.filter(({ status }) => status === "suspect")).toHaveLength(2);
  for (const policy of [{ keepFull: 1 }, { keepDays: 0 }, { tiers: { daily: 1 } }, { keepFull: 1, minVerified: 0 }]) {
    const plan = planExpiration(catalog, policy, Date.now() + 90 * 86_400_000);
    expect([policy, plan.keep.map(({ label }) => label)]).toEqual([policy, expect.arrayContaining([good])]);
    expect((await expireBackups({ repository, plan })).removed).not.toContain(good);
  }
  const plan = await planRestore({ repository, directory: join(scratch.path, "preferred") });
  expect(plan.backup.label).toBe(good);
});
