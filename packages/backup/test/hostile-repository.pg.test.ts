import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  createBackup,
  listBackups,
  openRepository,
  planRestore,
  type Repository,
  restoreBackup,
  verifyBackup,
  walPush,
} from "@db/backup";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { manifestMacKey, openBackup } from "../src/catalog.ts";
import type { BackupManifest, FileEntry } from "../src/manifest.ts";
import { encodeRecord } from "../src/repository/record.ts";
import { SealedWriter } from "../src/repository/sealed-object.ts";
import { scratchDirectory } from "./restored-cluster.ts";

// Everything here is sealed and signed with the right key: somebody who has it wrote what no backup would.
const encryptionKey = "5c".repeat(32);
let cluster: TestCluster;
let scratch: Awaited<ReturnType<typeof scratchDirectory>>;
let original: string;

beforeAll(async () => {
  cluster = await startCluster({ initdbArguments: ["--wal-segsize=1"] });
  scratch = await scratchDirectory();
  original = join(scratch.path, "original");
  const repository = await openRepository(original, { encryptionKey });
  await createBackup({ url: cluster.primary.url, repository });
});

afterAll(async () => {
  await cluster?.stop();
  await scratch?.[Symbol.asyncDispose]();
});

let copies = 0;

/** A copy of the repository whose backup was changed by somebody with the key. */
async function forged(change: {
  readonly manifest?: (manifest: BackupManifest) => object;
  readonly files?: (files: FileEntry[]) => FileEntry[];
}): Promise<Repository> {
  const location = join(scratch.path, `forged-${copies++}`);
  await cp(original, location, { recursive: true });
  const repository = await openRepository(location, { encryptionKey });
  const { manifest, prefix, dataKey } = await openBackup(repository, (await listBackups(repository))[0]!);
  let { objects } = manifest;
  if (change.files) {
    const { readBackupObject } = await import("../src/stored-files.ts");
    const raw = await readBackupObject(repository, { manifest, prefix, dataKey }, "files.sealed");
    const lines = raw.toString("utf8").trim().split("\n");
    const entries = change.files(lines.map((line) => JSON.parse(line) as FileEntry));
    await rm(join(location, prefix, "files.sealed"));
    const sealing = { dataKey: dataKey!.bytes, compression: manifest.compression };
    const writer = await SealedWriter.create(repository.storage, `${prefix}files.sealed`, sealing);
    await writer.write(Buffer.from(entries.map((entry) => `${JSON.stringify(entry)}\n`).join("")));
    const sealed = { name: "files.sealed", ...(await writer.finish()) };
    objects = objects.map((object) => (object.name === "files.sealed" ? sealed : object));
  }
  const record = { ...manifest, objects, ...change.manifest?.(manifest) };
  const { sha256: _digest, hmac: _mac, ...body } = record as Record<string, unknown>;
  await writeFile(join(location, prefix, "manifest.json"), encodeRecord(body, manifestMacKey(dataKey!)));
  return repository;
}

const traversal = "../../../../../../escaped";

function firstFile(change: Partial<FileEntry>): (files: FileEntry[]) => FileEntry[] {
  return (files) => {
    const at = files.findIndex(({ type, sizeBytes }) => type === "file" && sizeBytes > 0);
    return files.map((entry, index) => (index === at ? { ...entry, ...change } : entry));
  };
}

const cases: readonly (readonly [string, Parameters<typeof forged>[0], string])[] = [
  [
    "a WAL segment outside pg_wal",
    { manifest: (m) => ({ wal: [{ ...m.wal[0]!, segment: traversal }] }) },
    "BACKUP_UNSAFE_PATH",
  ],
  [
    "an object outside the backup's folder",
    { manifest: (m) => ({ objects: m.objects.map((o, at) => (at === 0 ? { ...o, name: traversal } : o)) }) },
    "BACKUP_UNSAFE_PATH",
  ],
  [
    "a pack outside the backup's folder",
    { manifest: (m) => ({ packs: [{ ...m.packs[0]!, name: "/etc/passwd" }] }) },
    "BACKUP_UNSAFE_PATH",
  ],
  [
    "a tablespace that is no number",
    { manifest: () => ({ tablespaces: [{ oid: traversal, location: "/srv" }] }) },
    "BACKUP_UNSAFE_PATH",
  ],
  [
    "a tablespace on the way up",
    { manifest: () => ({ tablespaces: [{ oid: "16385", location: "/srv/../etc" }] }) },
    "BACKUP_UNSAFE_PATH",
  ],
  ["a file outside the data directory", { files: firstFile({ path: traversal }) }, "BACKUP_UNSAFE_PATH"],
  ["a file with an absolute path", { files: firstFile({ path: "/tmp/escaped" }) }, "BACKUP_UNSAFE_PATH"],
  ["a file with a Windows path", { files: firstFile({ path: "C:\\escaped" }) }, "BACKUP_UNSAFE_PATH"],
  [
    "a symbolic link that is no tablespace",
    { files: firstFile({ type: "link", target: "/etc" }) },
    "BACKUP_UNSAFE_PATH",
  ],
  ["a file of negative length", { files: firstFile({ sizeBytes: -1 }) }, "BACKUP_CORRUPT"],
  ["a file at no place", { files: firstFile({ position: 1e300 }) }, "BACKUP_CORRUPT"],
  [
    "two files at one place",
    { files: (files) => [...files, { ...files.find((f) => f.sizeBytes > 9)!, path: "twin" }] },
    "BACKUP_CORRUPT",
  ],
  ["no pg_control", { files: (files) => files.filter(({ path }) => path !== "global/pg_control") }, "BACKUP_CORRUPT"],
  [
    "a parent that is missing",
    { manifest: () => ({ type: "incremental", parent: "20200101-000000F" }) },
    "BACKUP_NOT_FOUND",
  ],
  [
    "a kind this version does not know",
    { manifest: (m) => ({ type: "incremental", parent: m.label }) },
    "BACKUP_CORRUPT",
  ],
];

describe("a backup that names", () => {
  test.each(cases)("%s is refused, and nothing is written outside or left to start", async (_what, change, code) => {
    const repository = await forged(change);
    const home = join(scratch.path, `restored-${copies}`);
    await mkdir(home);
    const directory = join(home, "a", "b", "data");
    const restore = async (): Promise<unknown> =>
      restoreBackup({ repository, plan: await planRestore({ repository, directory }), durable: false });
    await expect(restore()).rejects.toMatchObject({ code, hint: expect.any(String) });
    const left = await readdir(home, { recursive: true });
    expect(left.filter((name) => !/^a(\/b(\/data)?)?$/.test(name))).toEqual([]);
    expect(existsSync("/tmp/escaped")).toBe(false);
  });
});

test("a plan from a file that names a segment outside pg_wal is refused", async () => {
  const repository = await openRepository(original, { encryptionKey });
  const plan = await planRestore({ repository, directory: join(scratch.path, "planned") });
  const changed = { ...plan, wal: [{ ...plan.wal[0]!, segment: traversal }] };
  await expect(restoreBackup({ repository, plan: changed })).rejects.toMatchObject({ code: "BACKUP_UNSAFE_PATH" });
  expect(existsSync(join(scratch.path, "planned"))).toBe(false);
});

describe("a restore does not suffer from damage it has no need to read:", () => {
  async function twoBackups(
    name: string,
  ): Promise<{ repository: Repository; location: string; old: string; id: string }> {
    const location = join(scratch.path, name);
    const repository = await openRepository(location, { encryptionKey });
    const { label, systemIdentifier } = await createBackup({ url: cluster.primary.url, repository });
    await createBackup({ url: cluster.primary.url, repository });
    await walPush({ repository, path: await writtenSegment() });
    return { repository, location, old: label, id: systemIdentifier };
  }

  /** A segment the server has just ended. */
  async function writtenSegment(): Promise<string> {
    const client = await cluster.connect();
    await client.query("create table if not exists written (n int)");
    await client.query("insert into written values (1)");
    const { rows } = await client.query<{ name: string }>("select pg_walfile_name(pg_switch_wal()) as name");
    await client.end();
    return join(cluster.primary.dataDirectory, "pg_wal", rows[0]!.name);
  }

  async function restores({ repository, old }: { repository: Repository; old: string }, name: string): Promise<void> {
    const directory = join(scratch.path, name);
    const plan = await planRestore({ repository, directory, label: old, target: { type: "latest" } });
    await restoreBackup({ repository, plan, durable: false });
    expect(existsSync(join(directory, "global/pg_control"))).toBe(true);
  }

  test("another backup whose key is lost", async () => {
    const made = await twoBackups("lost-key");
    const [newest] = await listBackups(made.repository);
    const { manifest } = await openBackup(made.repository, newest!);
    await rm(join(made.location, made.id, "keys", `${manifest.dataKeyId}.json`));
    await restores(made, "beside-lost-key");
  });

  test("what a receiver wrote down for people", async () => {
    const made = await twoBackups("broken-notes");
    for (const name of [
      "wal/position.json",
      "wal/gaps/20261121T000000000Z-0-5000000.json",
      "wal/epochs/00000001.json",
    ]) {
      const path = join(made.location, made.id, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, "{}");
    }
    await restores(made, "beside-broken-notes");
    // Whoever writes next takes a new key instead of the one that cannot be found any more.
    const repository = await openRepository(made.location, { encryptionKey });
    await walPush({ repository, path: await writtenSegment() });
    expect(await readdir(join(made.location, made.id, "wal/epochs"))).toEqual(["00000001.json", "00000002.json"]);
    expect(await readFile(join(made.location, made.id, "wal/epochs/00000002.json"), "utf8")).toContain("dataKeyId");
  });
});

test("a damaged journal of an expiry is told by verification, and is no fault of a backup", async () => {
  const location = join(scratch.path, "journal");
  await cp(original, location, { recursive: true });
  await mkdir(join(location, "journal"));
  await writeFile(join(location, "journal/20261121T000000000Z-expire.json"), '{ "action": "expire" }');
  const repository = await openRepository(location, { encryptionKey });
  await expect(verifyBackup({ repository })).resolves.toMatchObject({
    ok: true,
    findings: [{ id: "BACKUP-JOURNAL-DAMAGED", severity: "warn" }],
  });
});
