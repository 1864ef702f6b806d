import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { localStorage, type Storage } from "@db/backup";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

interface Driver {
  readonly name: string;
  open(): Promise<{ readonly storage: Storage; close(): Promise<void> }>;
}

// One suite for every driver.
const drivers: Driver[] = [
  {
    name: "local",
    open: async () => {
      const directory = await mkdtemp(join(tmpdir(), "storage-"));
      return {
        storage: localStorage(join(directory, "not", "there yet")),
        close: () => rm(directory, { recursive: true }),
      };
    },
  },
];

async function put(storage: Storage, key: string, text: string, ifAbsent = true): Promise<void> {
  const writer = await storage.create(key, { ifAbsent });
  await writer.write(Buffer.from(text));
  await writer.commit();
}

async function text(storage: Storage, key: string): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of storage.read(key)) parts.push(part);
  return Buffer.concat(parts).toString();
}

describe.each(drivers)("the $name storage", (driver) => {
  let opened: Awaited<ReturnType<Driver["open"]>>;
  let storage: Storage;

  beforeAll(async () => {
    opened = await driver.open();
    storage = opened.storage;
  });

  afterAll(() => opened.close());

  test("lists nothing before anything was written", async () => {
    expect(await Array.fromAsync(storage.list(""))).toEqual([]);
  });

  test("gives back an object whole, and lists it by prefix in the order of keys", async () => {
    await put(storage, "a/b/2.txt", "two");
    await put(storage, "a/b/1.txt", "one");
    await put(storage, "a/c/3.txt", "");
    expect(await text(storage, "a/b/1.txt")).toBe("one");
    expect(await text(storage, "a/c/3.txt")).toBe("");
    const listed = await Array.fromAsync(storage.list("a/b/"));
    expect(listed.map(({ key, sizeBytes }) => [key, sizeBytes])).toEqual([
      ["a/b/1.txt", 3],
      ["a/b/2.txt", 3],
    ]);
    expect((await Array.fromAsync(storage.list("a/b/1"))).map(({ key }) => key)).toEqual(["a/b/1.txt"]);
  });

  test("gives every byte to a reader that is done with a chunk when it asks for the next", async () => {
    const content = randomBytes(1_700_001);
    const writer = await storage.create("large/object");
    await writer.write(content);
    await writer.commit();
    const parts: Buffer[] = [];
    for await (const part of storage.read("large/object", { reuse: true })) {
      const before = Buffer.from(part);
      // What is read ahead meanwhile must not reach into it.
      await new Promise((resolve) => setImmediate(resolve));
      expect(before.equals(part)).toBe(true);
      parts.push(before);
    }
    expect(Buffer.concat(parts).equals(content)).toBe(true);
    // A reader that stops early leaves nothing open.
    for await (const _ of storage.read("large/object", { reuse: true })) break;
    const missing = storage.read("large/absent", { reuse: true })[Symbol.asyncIterator]();
    await expect(missing.next()).rejects.toMatchObject({ code: "BACKUP_OBJECT_NOT_FOUND" });
    await storage.remove("large/object");
  });

  test("never replaces an object that must be new, and replaces one that may be old", async () => {
    await put(storage, "once", "first");
    await expect(put(storage, "once", "second")).rejects.toMatchObject({ code: "BACKUP_OBJECT_EXISTS" });
    expect(await text(storage, "once")).toBe("first");
    await put(storage, "once", "third", false);
    expect(await text(storage, "once")).toBe("third");
  });

  test("shows nothing of an object before its commit, nor after an abort", async () => {
    const writer = await storage.create("half");
    await writer.write(Buffer.from("half"));
    expect((await Array.fromAsync(storage.list("half"))).length).toBe(0);
    await expect(text(storage, "half")).rejects.toMatchObject({ code: "BACKUP_OBJECT_NOT_FOUND" });
    await writer.abort();
    await expect(text(storage, "half")).rejects.toMatchObject({ code: "BACKUP_OBJECT_NOT_FOUND" });
  });

  test("removes an object, and one that is not there", async () => {
    await put(storage, "gone", "x");
    await storage.remove("gone");
    await storage.remove("gone");
    await expect(text(storage, "gone")).rejects.toMatchObject({ code: "BACKUP_OBJECT_NOT_FOUND" });
  });

  test.each(["../outside", "/absolute", "a/../../b", ""])("refuses the key %j", async (key) => {
    await expect(put(storage, key, "x")).rejects.toMatchObject({ code: "BACKUP_UNSAFE_PATH" });
  });

  test("removes what unfinished writes left, once it is old enough", async () => {
    await (await storage.create("never")).write(Buffer.from("x"));
    expect(await storage.removeUnfinished(60_000)).toBe(0);
    expect(await storage.removeUnfinished(-1)).toBe(1);
  });
});

test("the local storage keeps files and directories from other users", async () => {
  const directory = await mkdtemp(join(tmpdir(), "storage-"));
  await put(localStorage(join(directory, "repository")), "a/b", "x");
  expect((await stat(join(directory, "repository/a"))).mode & 0o777).toBe(0o700);
  expect((await stat(join(directory, "repository/a/b"))).mode & 0o777).toBe(0o600);
  expect(await readdir(join(directory, "repository/a"))).toEqual(["b"]);
  await rm(directory, { recursive: true });
});
