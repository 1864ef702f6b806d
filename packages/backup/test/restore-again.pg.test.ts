import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  createBackup,
  localStorage,
  openRepository,
  planRestore,
  type Repository,
  restoreBackup,
  type RestoreReport,
  type Storage,
  StorageError,
} from "@db/backup";
import { startCluster, type TestCluster } from "@db/testkit";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { restoredOwner, scratchDirectory, startRestored } from "./restored-cluster.ts";

const encryptionKey = "2b".repeat(32);
const rowsSql = "select (select count(*)::int from kept) as kept, (select count(*)::int from moved) as moved";
let cluster: TestCluster;
let scratch: Awaited<ReturnType<typeof scratchDirectory>>;
let repository: Repository;
let location: string;
let oid: string;

beforeAll(async () => {
  cluster = await startCluster({ tablespaces: ["side"], initdbArguments: ["--wal-segsize=1"] });
  scratch = await scratchDirectory();
  // The way to the data is opened, not the data: the server runs as another account.
  await chmod(scratch.path, 0o711);
  const client = await cluster.connect();
  await client.query("create table kept as select n, md5(n::text) as body from generate_series(1, 50000) n");
  await client.query("create table moved tablespace side as select generate_series(1, 1000) as n");
  await client.end();
  location = join(scratch.path, "repository");
  repository = await openRepository(location, { encryptionKey });
  const backup = await createBackup({ url: cluster.primary.url, repository });
  oid = backup.tablespaces[0]!.oid;
});

afterAll(async () => {
  await cluster?.stop();
  await scratch?.[Symbol.asyncDispose]();
});

async function place(name: string): Promise<{ directory: string; tablespaces: Record<string, string> }> {
  await mkdir(join(scratch.path, name), { mode: 0o711 });
  return {
    directory: join(scratch.path, name, "data"),
    tablespaces: { [oid]: join(scratch.path, name, "side") },
  };
}

async function restore(options: Parameters<typeof planRestore>[0], confirm?: string): Promise<RestoreReport> {
  const plan = await planRestore(options);
  return restoreBackup({ repository: options.repository, plan, confirm, owner: await restoredOwner() });
}

/** Starts a restored cluster, changes it, and says what is in it. */
async function rowsIn(directory: string, change = "select 1"): Promise<unknown> {
  const server = await startRestored(directory, { major: 18, signal: undefined });
  const client = new Client({ connectionString: server.url });
  await client.connect();
  const recovering = async (): Promise<unknown> => (await client.query("select pg_is_in_recovery() as r")).rows[0].r;
  await expect.poll(recovering, { timeout: 30_000 }).toBe(false);
  await client.query(change);
  const { rows } = await client.query(rowsSql);
  await client.query("checkpoint");
  await client.end();
  await server.stop();
  // Stopped at once, as a test cluster is; an operator stops it cleanly.
  await rm(join(directory, "postmaster.pid"), { force: true });
  return rows[0];
}

test("replaces a cluster by name: what is the same is reused, and the former one stays whole beside it", async () => {
  const where = await place("replaced");
  const { directory } = where;
  await restore({ repository, ...where });
  const changed = await rowsIn(directory, "delete from kept where n <= 7; insert into moved values (0)");
  expect(changed).toEqual({ kept: 49_993, moved: 1_001 });
  await expect(planRestore({ repository, ...where })).rejects.toMatchObject({ code: "BACKUP_DIRECTORY_NOT_EMPTY" });

  const plan = await planRestore({ repository, ...where, replace: true });
  expect(plan.replaces.map((each) => each.directory)).toEqual([directory, where.tablespaces[oid]]);
  for (const confirm of [undefined, "/srv/other"]) {
    await expect(restoreBackup({ repository, plan, confirm })).rejects.toMatchObject({ code: "BACKUP_NOT_CONFIRMED" });
  }
  expect(existsSync(join(directory, "global/pg_control"))).toBe(true);

  const report = await restoreBackup({ repository, plan, confirm: directory, owner: await restoredOwner() });
  expect(report.reusedFiles).toBeGreaterThan(report.files / 2);
  expect(report.reusedFiles).toBeLessThan(report.files);
  await expect(rowsIn(directory)).resolves.toEqual({ kept: 50_000, moved: 1_000 });
  const kept = plan.replaces[0]!.keptAs;
  expect(await readdir(kept)).toContain("PG_VERSION");
  await expect(readdir(plan.replaces[1]!.keptAs)).resolves.toContainEqual(expect.stringMatching(/^PG_18_/));
  // It starts as it lies, on its own tablespace, and not on the one that took its place.
  await rm(join(kept, "postmaster.pid"), { force: true });
  await expect(rowsIn(kept, "insert into moved values (-1)")).resolves.toEqual({ kept: 49_993, moved: 1_002 });
  await expect(rowsIn(directory)).resolves.toEqual({ kept: 50_000, moved: 1_000 });
});

test.each(["aborted", "a fault in the repository"])(
  "%s: the cluster to be replaced is back where it was",
  async (why) => {
    const where = await place(`back-${why.slice(0, 1)}-${why.length}`);
    const { directory } = where;
    await restore({ repository, ...where });
    const before = await rowsIn(directory, "insert into moved values (0)");
    const abort = new AbortController();
    const storage = localStorage(location);
    const faulty: Storage = {
      ...storage,
      read: async function* (key, options) {
        for await (const chunk of storage.read(key, options)) {
          if (why !== "aborted" && key.includes("/wal/")) chunk[chunk.length >> 1]! ^= 1;
          yield chunk;
        }
      },
    };
    const broken = await openRepository(faulty, { encryptionKey });
    const plan = await planRestore({ repository: broken, ...where, replace: true });
    const onProgress = (): void => (why === "aborted" ? abort.abort() : undefined);
    const { signal } = abort;
    await expect(
      restoreBackup({ repository: broken, plan, confirm: directory, owner: await restoredOwner(), signal, onProgress }),
    ).rejects.toMatchObject({ code: why === "aborted" ? "CORE_ABORTED" : "BACKUP_CORRUPT" });
    expect((await readdir(join(directory, ".."))).sort()).toEqual(["data", "server", "side"]);
    await expect(rowsIn(directory)).resolves.toEqual(before);
  },
);

test("replaces neither another cluster nor what is none", async () => {
  const { directory } = await place("foreign");
  await mkdir(join(directory, "global"), { recursive: true });
  await writeFile(join(directory, "note"), "mine");
  await expect(planRestore({ repository, directory, replace: true })).rejects.toMatchObject({
    code: "BACKUP_DIRECTORY_NOT_EMPTY",
    message: expect.stringContaining("no data directory"),
  });
  await writeFile(join(directory, "PG_VERSION"), "18\n");
  await writeFile(join(directory, "global/pg_control"), Buffer.alloc(8192, 1));
  await expect(planRestore({ repository, directory, replace: true })).rejects.toMatchObject({
    code: "BACKUP_CLUSTER_CHANGED",
  });
  await writeFile(join(directory, "postmaster.pid"), "12345\n");
  await expect(planRestore({ repository, directory, replace: true })).rejects.toMatchObject({
    code: "BACKUP_DIRECTORY_NOT_EMPTY",
    message: expect.stringContaining("process 12345"),
  });
});

test("goes on where a restore ended when the repository went away, and writes again what is not whole", async () => {
  const where = await place("resumed");
  const { directory } = where;
  const storage = localStorage(location);
  const failing: Storage = {
    ...storage,
    read: (key, options) => {
      if (key.includes("/wal/")) throw new StorageError("the network is gone");
      return storage.read(key, options);
    },
  };
  const away = await openRepository(failing, { encryptionKey });
  await expect(restore({ repository: away, ...where })).rejects.toMatchObject({ code: "BACKUP_STORAGE" });
  expect(existsSync(join(directory, "global/pg_control"))).toBe(false);
  expect(existsSync(join(directory, "restore.unfinished"))).toBe(true);
  await truncate(join(directory, "PG_VERSION"), 1);
  await writeFile(join(directory, "stray"), "left behind");

  const plan = await planRestore({ repository, ...where });
  expect(plan.resumes).toBe(true);
  const report = await restoreBackup({ repository, plan, owner: await restoredOwner() });
  expect(report.files - report.reusedFiles).toBeGreaterThanOrEqual(2);
  expect(report.files - report.reusedFiles).toBeLessThan(10);
  expect(await readdir(directory)).not.toContain("stray");
  expect(await readdir(directory)).not.toContain("restore.unfinished");
  await expect(rowsIn(directory)).resolves.toEqual({ kept: 50_000, moved: 1_000 });
});

test("a number of workers that is none, or too many, is refused before anything is written", async () => {
  const { directory, tablespaces } = await place("workers");
  const plan = await planRestore({ repository, directory, tablespaces });
  for (const workers of [-1, 17, 1.5, Number.NaN]) {
    await expect(restoreBackup({ repository, plan, workers })).rejects.toMatchObject({
      code: "BACKUP_INVALID_OPTIONS",
      message: `workers is ${workers}`,
      hint: "Give a whole number from 0 to 16.",
    });
    expect(existsSync(directory)).toBe(false);
  }
  await restoreBackup({ repository, plan, workers: 16, owner: await restoredOwner(), durable: false });
  expect(existsSync(join(directory, "global/pg_control"))).toBe(true);
});
