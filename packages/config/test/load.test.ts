import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ConfigError, loadConfig, type LoadedConfig, type LoadOptions } from "../src/index.ts";

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "db-config-"));
});
afterEach(() => rmSync(root, { recursive: true }));

function write(path: string, text: string): string {
  const absolute = join(root, path);
  mkdirSync(dirname(absolute), { recursive: true });
  writeFileSync(absolute, text);
  return absolute;
}

const load = (options: LoadOptions = {}): Promise<LoadedConfig> =>
  loadConfig({
    env: {},
    cwd: join(root, "repo/app/src"),
    homeDirectory: join(root, "home"),
    requireConnection: false,
    ...options,
  });

async function problemsOf(options: LoadOptions = {}): Promise<ConfigError["problems"]> {
  const error = await load(options).catch((thrown: unknown) => thrown);
  if (!(error instanceof ConfigError)) throw new Error("expected a ConfigError", { cause: error });
  return error.problems;
}

function repository(): void {
  mkdirSync(join(root, "repo/.git"), { recursive: true });
  mkdirSync(join(root, "repo/app/src"), { recursive: true });
}

describe("the search for files", () => {
  test("takes the nearest configuration up to the root of the repository", async () => {
    repository();
    write("repo/db.config.json", '{ "pool": { "max": 21 } }');
    expect((await load()).config.pool.max).toBe(21);
    const nearer = write("repo/app/db.config.json", '{ "pool": { "max": 22 } }');
    const { config, explain, files } = await load();
    expect(config.pool.max).toBe(22);
    expect(explain("pool.max").source).toEqual({ level: "file", name: "pool.max", location: nearer });
    expect(files).toEqual([nearer]);
    expect(config.backup.repository).toBe(join(root, "repo/app/backups"));
  });

  test("does not leave the repository, and without one not the folder", async () => {
    write("db.config.json", '{ "pool": { "max": 21 } }');
    repository();
    expect((await load()).config.pool.max).toBe(10);
    rmSync(join(root, "repo/.git"), { recursive: true });
    write("repo/app/db.config.json", '{ "pool": { "max": 22 } }');
    expect((await load()).config.pool.max).toBe(10);
    expect((await load({ cwd: join(root, "repo/app") })).config.pool.max).toBe(22);
  });

  test.each([
    ["db.config.ts", "const max: number = 23; export default { pool: { max } };"],
    ["db.config.mjs", "export default { pool: { max: 23 } };"],
    ["db.config.json", '\uFEFF{ "$schema": "x", "pool": { "max": 23 } }'],
    ["package.json", '{ "name": "app", "db": { "pool": { "max": 23 } } }'],
  ])("reads %s", async (name, text) => {
    repository();
    write(`repo/app/${name}`, text);
    expect((await load()).config.pool.max).toBe(23);
  });

  test("refuses two configurations in one folder", async () => {
    repository();
    write("repo/app/db.config.json", "{}");
    write("repo/app/package.json", '{ "db": {} }');
    expect(await problemsOf()).toMatchObject([{ message: expect.stringContaining("db.config.json and package.json") }]);
  });

  test("a package.json without our section is no configuration", async () => {
    repository();
    write("repo/app/package.json", '{ "name": "app" }');
    write("repo/db.config.json", '{ "pool": { "max": 24 } }');
    expect((await load()).config.pool.max).toBe(24);
  });

  test("reads the .env files of the profile and the user's own file", async () => {
    repository();
    write("repo/.env", "DB_PROFILE=staging\nDB_POOL_MAX=31\nDB_POOL_MIN=4");
    write("repo/.env.staging", "DB_POOL_MAX=32");
    write("repo/.env.production", "DB_POOL_MAX=33");
    write("home/.config/db/config.json", '{ "pool": { "maxLifetimeMs": "7min", "max": 34 } }');
    const { config } = await load();
    expect(config.profile).toBe("staging");
    expect(config.pool).toMatchObject({ max: 32, min: 4, maxLifetimeMs: 420_000 });
    const production = await load({ profile: "production", requireConnection: false });
    expect(production.config.pool.max).toBe(33);
    const xdg = write("xdg/db/config.json", '{ "pool": { "idleTimeoutMs": "8min" } }');
    expect((await load({ env: { XDG_CONFIG_HOME: dirname(dirname(xdg)) } })).config.pool.idleTimeoutMs).toBe(480_000);
  });

  test("reads a file that is named, and no file when told so", async () => {
    repository();
    write("repo/.env", "DB_POOL_MAX=31");
    write("repo/other.json", '{ "pool": { "max": 35, "min": 1 } }');
    expect((await load({ configFile: join(root, "repo/other.json") })).config.pool).toMatchObject({ max: 31, min: 1 });
    expect((await load({ readFiles: false })).config.pool.max).toBe(10);
    expect(await problemsOf({ configFile: "none.json" })).toMatchObject([
      { message: expect.stringContaining("does not exist") },
    ]);
  });
});

describe("files that cannot be used", () => {
  test.each([
    ["db.config.json", '{ "connection": { "password": "swordfish" }'],
    ["db.config.json", '["swordfish"]'],
    ["db.config.json", "swordfish"],
    ["db.config.mjs", "export const password = 'swordfish';"],
    ["db.config.mjs", "throw new Error('cannot reach postgres://a:swordfish@db/app');"],
  ])("%s of %j is one clear problem without its content", async (name, text) => {
    repository();
    const path = write(`repo/app/${name}`, text);
    const problems = await problemsOf({ env: { DB_PORT: "x" } });
    expect(problems.map(({ variable }) => variable)).toContain("DB_PORT");
    expect(problems).toHaveLength(2);
    expect(problems.some(({ source }) => source === path)).toBe(true);
    expect(JSON.stringify(problems)).not.toContain("swordfish");
  });

  test("a .env that is a folder is a problem", async () => {
    repository();
    mkdirSync(join(root, "repo/.env"));
    expect(await problemsOf()).toMatchObject([
      { source: join(root, "repo/.env"), message: expect.stringContaining("EISDIR") },
    ]);
  });
});

test("a password file with open permissions is not used", async () => {
  const path = write("home/.pgpass", "*:*:*:*:swordfish\n");
  const env = { DATABASE_URL: "postgres://app@db/app" };
  chmodSync(path, 0o644);
  const open = await load({ env });
  expect(open.config.connection!.primaryUrl.reveal()).not.toContain("swordfish");
  expect(open.warnings).toMatchObject([{ id: "CONFIG-PASSWORD-FILE" }]);
  chmodSync(path, 0o600);
  const closed = await load({ env });
  expect(closed.config.connection!.primaryUrl.reveal()).toContain("swordfish");
});

test("the configuration of this process loads without any option", async () => {
  await expect(loadConfig({ requireConnection: false })).resolves.toMatchObject({ config: { profile: "test" } });
});
