import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { mkdtemp, open, readdir, readFile, readlink, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DirectFile } from "./direct-file.ts";

const mebibyte = 1024 * 1024;
let directory = "";

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "direct-file-"));
});

afterAll(() => rm(directory, { recursive: true }));

/** Writes in chunks of those lengths, one after the other. */
async function write(file: DirectFile, content: Buffer, lengths: readonly number[]): Promise<void> {
  for (let at = 0, n = 0; at < content.length; n++) {
    const length = lengths[n % lengths.length]!;
    const chunk = Buffer.from(content.subarray(at, at + length));
    await file.write(chunk);
    // Nobody may look at it later.
    chunk.fill(0);
    at += length;
  }
}

test.each([
  0,
  1,
  4095,
  4096,
  mebibyte,
  mebibyte + 1,
  2 * mebibyte - 1,
  2 * mebibyte,
  2 * mebibyte + 1,
  3 * mebibyte + 5,
  7 * mebibyte + 4097,
])("holds what was written, %i bytes", async (bytes) => {
  const content = randomBytes(bytes);
  for (const [index, lengths] of [[700_000, 3, 64, 90_001], [4096], [5 * mebibyte]].entries()) {
    const path = join(directory, `${bytes}-${index}`);
    const file = await DirectFile.create(path);
    await write(file, content, lengths);
    await file.sync();
    await file.close();
    expect((await readFile(path)).equals(content), `chunks of ${lengths.join(", ")}`).toBe(true);
  }
});

test("goes on through the page cache where the system refuses to write around it", async () => {
  const content = randomBytes(5 * mebibyte + 77);
  const path = join(directory, "refused");
  // No device takes writes that end anywhere.
  const file = await DirectFile.create(path, 1);
  await write(file, content, [700_001]);
  await file.sync();
  await file.close();
  expect((await readFile(path)).equals(content)).toBe(true);
});

test("never takes a file that is there, and is only its owner's", async () => {
  const path = join(directory, "taken");
  const file = await DirectFile.create(path);
  await expect(DirectFile.create(path)).rejects.toMatchObject({ code: "EEXIST" });
  await file.close();
  if (process.platform === "win32") return;
  const handle = await open(path);
  expect((await handle.stat()).mode & 0o777).toBe(0o600);
  await handle.close();
});

test("is closed only when nothing is written any more, since its memory becomes another file's", async () => {
  const file = await DirectFile.create(join(directory, "closed"));
  let isWritten = false;
  const written = file.write(randomBytes(20 * mebibyte)).then(() => (isWritten = true));
  await file.close();
  expect(isWritten).toBe(true);
  await written;
});

test("writes a large file around the page cache, and a small one through it", async ({ skip }) => {
  const isAble = process.platform === "linux" && [0xef53, 0x58465342].includes((await statfs(directory)).type);
  if (!isAble) skip("the temporary directory is not on ext4 or XFS of a Linux");
  for (const [bytes, handles] of [
    [2 * mebibyte - 1, 0],
    [2 * mebibyte, 1],
  ] as const) {
    const path = join(directory, `large-${bytes}`);
    const file = await DirectFile.create(path);
    await file.write(randomBytes(bytes));
    expect(await directHandlesOf(path)).toBe(handles);
    await file.close();
    expect(await directHandlesOf(path)).toBe(0);
  }
});

/** How many of this process's handles of a file go around the page cache. */
async function directHandlesOf(path: string): Promise<number> {
  let found = 0;
  for (const fd of await readdir("/proc/self/fd")) {
    if ((await readlink(`/proc/self/fd/${fd}`).catch(() => "")) !== path) continue;
    const flags = /flags:\s+(\d+)/.exec(await readFile(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1] ?? "0";
    if ((Number.parseInt(flags, 8) & constants.O_DIRECT) !== 0) found++;
  }
  return found;
}
