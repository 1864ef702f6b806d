import { createHash, randomBytes, randomInt } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FrameThreads } from "./frame-threads.ts";
import { localStorage } from "./local-storage.ts";
import { checkSealed, type Compression, frameBytes, readSealed, SealedWriter } from "./sealed-object.ts";
import type { Storage } from "./storage.ts";

let directory: string;
let storage: Storage;
let count = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "sealed-"));
  storage = localStorage(directory);
});

afterAll(() => rm(directory, { recursive: true, force: true }));

const algorithms: Compression["algorithm"][] = ["zstd", "gzip", "none"];

async function write(content: Buffer, algorithm: Compression["algorithm"], dataKey?: Buffer): Promise<string> {
  const key = `object-${count++}`;
  const compression = { algorithm, level: algorithm === "none" ? 0 : 1 };
  const writer = await SealedWriter.create(storage, key, { dataKey, compression });
  for (let at = 0; at < content.length; at += 100_000) await writer.write(content.subarray(at, at + 100_000));
  await writer.finish();
  return key;
}

async function read(key: string, dataKey?: Buffer): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of readSealed(storage, key, { dataKey })) parts.push(part);
  return Buffer.concat(parts);
}

test.each(algorithms)(
  "gives back what was written with %s, encrypted and plain, at every length around a frame",
  async (algorithm) => {
    for (const length of [0, 1, frameBytes - 1, frameBytes, frameBytes + 1, 4 * frameBytes]) {
      for (const dataKey of [undefined, randomBytes(32)]) {
        const content = Buffer.alloc(length, "postgres ");
        const key = await write(content, algorithm, dataKey);
        expect((await read(key, dataKey)).equals(content)).toBe(true);
        await expect(checkSealed(storage, key, {})).resolves.toBeGreaterThan(0);
      }
    }
  },
);

test.each(algorithms)("threads seal with %s what reads back the same, several objects at once", async (algorithm) => {
  await using threads = new FrameThreads(2);
  const dataKey = randomBytes(32);
  const compression = { algorithm, level: algorithm === "none" ? 0 : 1 };
  const contents = [0, 5, 3 * frameBytes + 7, 9 * frameBytes].map((length) => Buffer.alloc(length, "some rows "));
  const keys = contents.map(() => `object-${count++}`);
  const writers = await Promise.all(
    keys.map((key) => SealedWriter.create(storage, key, { dataKey, compression, sealer: threads })),
  );
  // The ends of the first ones go on while the next are filled, as with packs.
  const ends = [];
  for (const [index, writer] of writers.entries()) {
    const content = contents[index]!;
    for (let at = 0; at < content.length; at += 100_000) await writer.write(content.subarray(at, at + 100_000));
    ends.push(writer.finish());
  }
  await Promise.all(ends);
  for (const [index, key] of keys.entries()) {
    expect((await read(key, dataKey)).equals(contents[index]!)).toBe(true);
    await expect(checkSealed(storage, key, {})).resolves.toBeGreaterThan(0);
  }
});

test("an object whose threads end fails, and leaves nothing", async () => {
  const threads = new FrameThreads(1);
  const key = `object-${count++}`;
  const compression = { algorithm: "zstd", level: 1 } as const;
  const writer = await SealedWriter.create(storage, key, { dataKey: undefined, compression, sealer: threads });
  await writer.write(randomBytes(frameBytes));
  await threads.close();
  await expect(writer.finish()).rejects.toMatchObject({ code: "BACKUP_THREADS_ENDED", retryable: true });
  await writer.abort();
  expect(await Array.fromAsync(storage.list(key))).toEqual([]);
  expect((await readdir(directory)).filter((name) => name.includes("unfinished"))).toEqual([]);
});

test.each([frameBytes / 2, 2 * frameBytes])(
  "reads what earlier versions stored in frames of %i bytes",
  async (size) => {
    await using opener = new FrameThreads(1);
    const content = Buffer.concat([Buffer.alloc(2 * size, "some rows "), randomBytes(1_000)]);
    const parts = [content.subarray(0, size), content.subarray(size, 2 * size), content.subarray(2 * size)];
    // Written out as the format has it: header, frames with their lengths, digest.
    const header = Buffer.alloc(44);
    header.write("DBBK");
    header.set([1, 1, 0, 0], 4);
    header.writeUInt32LE(size, 8);
    const frames = parts.flatMap((part, index) => {
      const frame = zstdCompressSync(part);
      const length = Buffer.alloc(4);
      length.writeUInt32LE((frame.length | (index === 2 ? 0x8000_0000 : 0)) >>> 0);
      return [length, frame];
    });
    const stored = Buffer.concat([header, ...frames]);
    const object = Buffer.concat([stored, createHash("sha256").update(stored).digest()]);
    const held: Storage = { ...storage, read: () => Readable.from([object]) };
    for (const each of [undefined, opener]) {
      const given = createHash("sha256");
      for await (const piece of readSealed(held, "old", { dataKey: undefined, opener: each })) given.update(piece);
      expect(given.digest("hex")).toBe(createHash("sha256").update(content).digest("hex"));
    }
  },
);

test("threads open what they are given, and tell of every fault as this thread does", async () => {
  await using opener = new FrameThreads(2);
  for (const dataKey of [undefined, randomBytes(32)]) {
    for (const algorithm of algorithms) {
      const content = Buffer.concat([Buffer.alloc(3 * frameBytes, "some rows "), randomBytes(1_000)]);
      const key = await write(content, algorithm, dataKey);
      const good = await readFile(join(directory, key));
      const given = createHash("sha256");
      const held = (bytes: Buffer): Storage => ({ ...storage, read: () => Readable.from([bytes]) });
      // A piece stays as it is until the next but one is asked for.
      let before: Buffer | undefined;
      for await (const piece of readSealed(held(good), key, { dataKey, opener })) {
        if (before) given.update(before);
        before = piece;
      }
      given.update(before!);
      expect(given.digest("hex")).toBe(createHash("sha256").update(content).digest("hex"));
      for (let turn = 0; turn < 12; turn++) {
        const bad = Buffer.from(good);
        const at = turn < 6 ? turn * 9 : randomInt(bad.length);
        bad[at]! ^= 1 << randomInt(8);
        const reading = drain(readSealed(held(bad), key, { dataKey, opener }));
        await expect(reading).rejects.toMatchObject({ code: "BACKUP_CORRUPT", object: key });
        const cut = drain(readSealed(held(good.subarray(0, randomInt(good.length))), key, { dataKey, opener }));
        await expect(cut).rejects.toMatchObject({ code: "BACKUP_CORRUPT" });
      }
    }
  }
});

async function drain(pieces: AsyncIterable<Buffer>): Promise<void> {
  for await (const piece of pieces) void piece;
}

test("no frame can be moved to another object, even under the same key", async () => {
  const dataKey = randomBytes(32);
  const [one, two] = [
    await write(Buffer.from("one"), "none", dataKey),
    await write(Buffer.from("two"), "none", dataKey),
  ];
  await writeFile(join(directory, two), await readFile(join(directory, one)));
  await expect(read(two, dataKey)).rejects.toMatchObject({ code: "BACKUP_CORRUPT", object: two });
});

test.each([true, false])(
  "every flipped bit and every cut of a small object is found (encrypted: %s)",
  async (encrypted) => {
    const dataKey = encrypted ? randomBytes(32) : undefined;
    const key = await write(Buffer.from("small"), "zstd", dataKey);
    const good = await readFile(join(directory, key));
    // From memory: thousands of readings need no disk.
    const check = async (bytes: Buffer): Promise<void> => {
      const held: Storage = { ...storage, read: () => Readable.from([bytes]) };
      const reading = Array.fromAsync(readSealed(held, key, { dataKey }));
      await expect(reading).rejects.toMatchObject({ code: "BACKUP_CORRUPT" });
      await expect(checkSealed(held, key, {})).rejects.toMatchObject({ code: "BACKUP_CORRUPT" });
    };
    for (let bit = 0; bit < good.length * 8; bit++) {
      const bad = Buffer.from(good);
      bad[bit >> 3]! ^= 1 << (bit & 7);
      await check(bad);
    }
    for (let length = 0; length < good.length; length++) await check(good.subarray(0, length));
  },
);

test("who has no key can make no other object of the frames of one, whatever digest is put at its end", async () => {
  const dataKey = randomBytes(32);
  const content = randomBytes(2 * frameBytes + 500);
  const stored = await readFile(join(directory, await write(content, "none", dataKey)));
  const key = `object-${count - 1}`;
  const header = stored.subarray(0, 44);
  const frames: Buffer[] = [];
  for (let at = 44; at < stored.length - 32;) {
    const end = at + 4 + (stored.readUInt32LE(at) & 0x7fff_ffff);
    frames.push(stored.subarray(at, end));
    at = end;
  }
  expect(frames).toHaveLength(3);
  const reading = (parts: readonly Buffer[], behind = ""): Promise<Buffer[]> => {
    const body = Buffer.concat([header, ...parts]);
    const forged = Buffer.concat([body, createHash("sha256").update(body).digest(), Buffer.from(behind)]);
    const held: Storage = { ...storage, read: () => Readable.from([forged]) };
    return Array.fromAsync(readSealed(held, key, { dataKey }));
  };
  const [first, second, third] = frames as [Buffer, Buffer, Buffer];
  expect(Buffer.concat(await reading(frames)).equals(content)).toBe(true);
  const nowLast = Buffer.from(second);
  nowLast.writeUInt32LE((nowLast.readUInt32LE() | 0x8000_0000) >>> 0);
  for (const parts of [[second, first, third], [first, nowLast], [first, third], [third]]) {
    await expect(reading(parts)).rejects.toMatchObject({ code: "BACKUP_CORRUPT" });
  }
  await expect(reading(frames, "x")).rejects.toThrow("goes on after its end");
});
