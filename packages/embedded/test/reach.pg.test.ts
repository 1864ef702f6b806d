import { chmod, chown, cp, mkdir, readlink, rm, stat } from "node:fs/promises";
import path from "node:path";
import { findBinaries, openLocalTopology, requireBinaries, serverAccount } from "@db/embedded";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startChild } from "./child.ts";
import { makeSandbox, withClient } from "./sandbox.ts";

const sandbox = await makeSandbox();
const root = process.getuid?.() === 0;
if (!root)
  console.warn(
    "skipped: what only root does (programs copied to where the server can read them, servers run as another account)",
  );
afterAll(() => sandbox.remove());

describe.skipIf(process.platform === "win32")("a package of npm", () => {
  const home = path.join(sandbox.path, "package");
  const bin = path.join(home, "native", "bin");
  const library = path.join(home, "native", "lib", process.platform === "darwin" ? "libpq.5.dylib" : "libpq.so.5");
  beforeAll(async () => {
    const all = await findBinaries();
    const npm = all.find((binaries) => binaries.source === "npm")!;
    await cp(path.dirname(npm.directory), path.join(home, "native"), { recursive: true, verbatimSymlinks: true });
  });

  test("gets the links between its libraries when its install script did not run", async () => {
    const target = await readlink(library);
    await rm(library);
    expect(await findBinaries({ binDirectory: bin, packaged: true })).toMatchObject([
      { directory: bin, problem: undefined },
    ]);
    expect(await readlink(library)).toBe(target);
  });

  test.runIf(root)("is copied to where the server's account can read it", async () => {
    await chmod(sandbox.path, 0o700);
    try {
      const [found] = await findBinaries({ binDirectory: bin, packaged: true });
      expect(found).toMatchObject({ major: 18, problem: undefined });
      expect(found!.directory).not.toBe(bin);
      const again = await findBinaries({ binDirectory: bin, packaged: true });
      expect(again[0]!.directory).toBe(found!.directory);
      await rm(path.resolve(found!.directory, "../.."), { recursive: true });
    } finally {
      await chmod(sandbox.path, 0o755);
    }
  });
});

describe.runIf(root)("root", () => {
  test("runs the server as another account", async () => {
    const account = await serverAccount();
    expect(account?.uid).toBeGreaterThan(0);
    await using topology = await openLocalTopology({
      directory: path.join(sandbox.path, "as-root"),
      replicas: 0,
      durable: false,
    });
    expect((await stat(topology.primary.dataDirectory)).uid).toBe(account!.uid);
  });

  test("keeps the data of a project that the account cannot enter in a place of its own", async () => {
    const project = path.join(sandbox.path, "private");
    await mkdir(project, { mode: 0o700 });
    const directory = path.join(project, ".db");
    let place: string;
    {
      await using topology = await openLocalTopology({ directory, durable: false });
      place = path.dirname(topology.primary.directory);
      expect(topology.primary.directory).not.toContain(project);
      await withClient(topology.primary.url, (client) => client.query("create table kept ()"));
    }
    {
      await using again = await openLocalTopology({ directory, durable: false });
      expect(again.created).toBe(false);
      await withClient(again.primary.url, (client) => client.query("select from kept"));
    }
    await rm(place, { recursive: true });
  });

  test("runs data made by a user as that user", async () => {
    const directory = path.join(sandbox.path, "of-nobody");
    await mkdir(directory);
    await chown(directory, 65534, 65534);
    const child = startChild({ directory: path.join(directory, ".db"), durable: false }, { uid: 65534, gid: 65534 });
    await child.until(({ event }) => event === "open");
    child.process.stdin!.end();
    await child.ended;
    await using topology = await openLocalTopology({ directory: path.join(directory, ".db"), durable: false });
    expect(topology.created).toBe(false);
    expect(topology.primary.account?.uid).toBe(65534);
  });

  test("names the account it cannot find", async () => {
    await expect(serverAccount("no-such-account")).rejects.toMatchObject({
      code: "EMBEDDED_ACCOUNT",
      message: expect.stringContaining("no-such-account") as string,
    });
  });
});

test("the newest PostgreSQL found is taken when no version is asked for", async () => {
  const all = await findBinaries();
  const newest = Math.max(...all.filter((b) => b.server && b.problem === undefined).map((b) => b.major));
  expect((await requireBinaries()).major).toBe(newest);
});
