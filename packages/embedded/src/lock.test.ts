import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isHeld, takeLock } from "./lock.ts";

describe("takeLock", () => {
  let directory: string;
  let file: string;
  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), "db-lock-"));
    file = path.join(directory, "lock");
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  test("tells the process that holds it", async () => {
    const first = await takeLock(file);
    const second = await takeLock(file);
    expect(isHeld(first)).toBe(true);
    expect(second).toMatchObject({ pid: process.pid });
  });

  test("is free again once released", async () => {
    const first = await takeLock(file);
    if (isHeld(first)) await first.release();
    expect(isHeld(await takeLock(file))).toBe(true);
  });

  test("is taken over from a process that is gone, its id in use again or not", async () => {
    for (const holder of [
      { pid: 2 ** 22 + 7, startedAt: "boot:1", token: "a" },
      { pid: process.pid, startedAt: "an earlier boot:1", token: "b" },
    ]) {
      await writeFile(file, JSON.stringify(holder));
      expect(isHeld(await takeLock(file))).toBe(true);
      await rm(file);
    }
  });

  test("waits for nobody who crashed before writing it", async () => {
    await writeFile(file, "");
    expect(await takeLock(file)).toMatchObject({ pid: 0 });
    const past = new Date(Date.now() - 60_000);
    await utimes(file, past, past);
    expect(isHeld(await takeLock(file))).toBe(true);
  });

  test("goes to exactly one of many that find a stale one", async () => {
    await writeFile(file, JSON.stringify({ pid: 2 ** 22 + 7, startedAt: "x", token: "a" }));
    const results = await Promise.all(Array.from({ length: 8 }, () => takeLock(file)));
    expect(results.filter(isHeld)).toHaveLength(1);
    expect(await readdir(directory)).toEqual(["lock"]);
  });

  test("is left alone by a release that comes after another took it", async () => {
    const first = await takeLock(file);
    await writeFile(file, JSON.stringify({ pid: process.pid, startedAt: "later", token: "other" }));
    if (isHeld(first)) await first.release();
    expect(JSON.parse(await readFile(file, "utf8"))).toMatchObject({ token: "other" });
  });
});
