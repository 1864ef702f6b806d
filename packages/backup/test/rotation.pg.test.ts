import { cp } from "node:fs/promises";
import { join } from "node:path";
import {
  createBackup,
  localStorage,
  openRepository,
  readCatalog,
  rotateKey,
  type Storage,
  verifyBackup,
  walFetch,
  walPush,
} from "@db/backup";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { scratchDirectory } from "./restored-cluster.ts";

const oldKey = "the old passphrase of all";
const newKey = "5e".repeat(32);
let cluster: TestCluster;
let scratch: Awaited<ReturnType<typeof scratchDirectory>>;
let segment: string;

beforeAll(async () => {
  cluster = await startCluster({ initdbArguments: ["--wal-segsize=1"] });
  scratch = await scratchDirectory();
  const repository = await openRepository(join(scratch.path, "first"), { encryptionKey: oldKey });
  await createBackup({ url: cluster.primary.url, repository });
  const client = await cluster.connect();
  await client.query("create table t as select 1 as n");
  const { rows } = await client.query<{ name: string }>("select pg_walfile_name(pg_current_wal_insert_lsn()) as name");
  await client.query("select pg_switch_wal()");
  await client.end();
  segment = rows[0]!.name;
  await walPush({ repository, path: join(cluster.primary.dataDirectory, "pg_wal", segment) });
});

afterAll(async () => {
  await cluster?.stop();
  await scratch?.[Symbol.asyncDispose]();
});

async function opensWith(location: string, encryptionKey: string): Promise<boolean> {
  try {
    const repository = await openRepository(location, { encryptionKey });
    const { ok } = await verifyBackup({ repository, depth: "listing" });
    const destination = join(location, "..", "fetched");
    const { systemIdentifier } = (await readCatalog(repository)).backups[0]!;
    const { found } = await walFetch({ repository, name: segment, destination, systemIdentifier });
    return ok && found;
  } catch (error) {
    expect(error).toMatchObject({ code: "BACKUP_WRONG_KEY" });
    return false;
  }
}

test("after a rotation only the new key opens everything there was, and what comes after", async () => {
  const location = join(scratch.path, "rotated");
  await cp(join(scratch.path, "first"), location, { recursive: true });
  const repository = await openRepository(location, { encryptionKey: oldKey });
  const report = await rotateKey({ repository, newEncryptionKey: newKey });
  expect(report.dataKeys).toBe(2);
  await createBackup({ url: cluster.primary.url, repository });
  await expect(opensWith(location, newKey)).resolves.toBe(true);
  await expect(opensWith(location, oldKey)).resolves.toBe(false);
});

test("a rotation cut short at any step leaves a repository that one of the two keys opens, and ends when run again", async () => {
  for (let dieAt = 1; dieAt <= 9; dieAt++) {
    const location = join(scratch.path, `cut-${dieAt}`);
    await cp(join(scratch.path, "first"), location, { recursive: true });
    const dying = await openRepository(failingAt(localStorage(location), dieAt), { encryptionKey: oldKey });
    await rotateKey({ repository: dying, newEncryptionKey: newKey }).catch(() => undefined);
    const byOld = await opensWith(location, oldKey);
    const byNew = await opensWith(location, newKey);
    expect({ dieAt, byOld, byNew }).toEqual({ dieAt, byOld: !byNew, byNew });
    const again = await openRepository(location, { encryptionKey: byOld ? oldKey : newKey });
    await localStorage(location).remove("leases/rotate-key.json");
    await rotateKey({ repository: again, newEncryptionKey: newKey });
    await expect(opensWith(location, newKey)).resolves.toBe(true);
  }
});

/** A storage whose every change from a given one on fails, as if the process had died there. */
function failingAt(storage: Storage, dieAt: number): Storage {
  let changes = 0;
  const change = (): void => {
    changes++;
    if (changes >= dieAt) throw new Error("the process is gone");
  };
  return {
    ...storage,
    create: async (key, options) => {
      const writer = await storage.create(key, options);
      const commit = async (): Promise<void> => {
        change();
        await writer.commit();
      };
      return { ...writer, commit };
    },
    remove: async (key) => {
      change();
      await storage.remove(key);
    },
  };
}
