import { spawn } from "node:child_process";
import { once } from "node:events";
import { chown, cp, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import path from "node:path";
import { toDatabase } from "@db/core";
import {
  type Cluster,
  createCluster,
  findFreePort,
  openCluster,
  requireBinaries,
  throwawaySettings,
} from "@db/embedded";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { childrenOf } from "../src/process-identity.ts";
import { sharedFilesOf } from "../src/shared-memory.ts";
import { eventually, makeSandbox, withClient } from "./sandbox.ts";

const sandbox = await makeSandbox();
const binaries = await requireBinaries({ version: 18 });
const home = (name: string): string => path.join(sandbox.path, name);
const password = "it's a \\ password";

describe("a cluster", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await createCluster({
      directory: home("primary"),
      binaries,
      password,
      durable: false,
      settings: throwawaySettings,
    });
    await cluster.start();
  });
  afterAll(async () => {
    await cluster.remove();
    await sandbox.remove();
  });

  test("accepts connections at its url, with its password only", async () => {
    const { rows } = await withClient(cluster.url, (client) =>
      client.query("select current_setting('server_encoding') as encoding, current_setting('timezone') as zone"),
    );
    expect(rows).toEqual([{ encoding: "UTF8", zone: "UTC" }]);
    const wrong = new URL(cluster.url);
    wrong.password = "wrong";
    await expect(withClient(wrong.href, async () => undefined)).rejects.toMatchObject({ code: "28P01" });
  });

  test("listens on the loopback address only and on no socket", async () => {
    const { rows } = await withClient(cluster.url, (client) =>
      client.query(
        "select name, setting from pg_settings where name in ('listen_addresses', 'unix_socket_directories')",
      ),
    );
    expect(rows).toEqual([
      { name: "listen_addresses", setting: "127.0.0.1" },
      { name: "unix_socket_directories", setting: "" },
    ]);
  });

  test("refuses to be made where one is", async () => {
    await expect(createCluster({ directory: cluster.directory, binaries, password })).rejects.toMatchObject({
      code: "EMBEDDED_DIRECTORY",
    });
  });

  test("survives SIGKILL of all its processes with what was committed", async () => {
    await withClient(cluster.url, (client) => client.query("create table survivor as select 7 as value"));
    const { port } = cluster;
    await cluster.kill();
    expect(await cluster.isRunning()).toBe(false);
    await cluster.start();
    expect(cluster.port).toBe(port);
    const { rows } = await withClient(cluster.url, (client) => client.query("select value from survivor"));
    expect(rows).toEqual([{ value: 7 }]);
  });

  test("answers nothing while frozen and goes on when thawed", async () => {
    await withClient(cluster.url, async (client) => {
      await cluster.freeze();
      const answer = client.query("select 1 as one");
      const first = await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 150, "silence"))]);
      expect(first).toBe("silence");
      await cluster.thaw();
      expect((await answer).rows).toEqual([{ one: 1 }]);
    });
  });

  test("takes new settings without a restart", async () => {
    await cluster.reconfigure({ work_mem: "7MB" });
    await eventually(() =>
      withClient(cluster.url, async (client) => (await client.query("show work_mem")).rows[0].work_mem === "7MB"),
    );
  });

  test("is seen running by another handle on its directory", async () => {
    const other = await openCluster({ directory: cluster.directory, binaries, password });
    expect(await other.isRunning()).toBe(true);
    expect(other.url).toBe(cluster.url);
  });

  test("takes another port when the one it chose is taken", async () => {
    const blocker = createServer().listen(0, "127.0.0.1");
    await once(blocker, "listening");
    const { port } = blocker.address() as { port: number };
    await cluster.stop();
    const ports = [await findFreePort()];
    const other = await openCluster({
      directory: cluster.directory,
      binaries,
      password,
      preferredPort: port,
      findPort: async () => ports.shift()!,
    });
    await other.start();
    expect(other.port).not.toBe(port);
    await other.stop();
    const fixed = await openCluster({ directory: cluster.directory, binaries, password, port });
    await expect(fixed.start()).rejects.toMatchObject({
      code: "EMBEDDED_CLUSTER_FAILED",
      message: expect.stringContaining("did not start") as string,
      log: expect.stringContaining("could not bind") as string,
      hint: expect.stringContaining(`Port ${port} is taken`) as string,
    });
    blocker.close();
    await cluster.start();
  });

  test("names the setting that keeps it from starting", async () => {
    await cluster.stop();
    const broken = await openCluster({
      directory: cluster.directory,
      binaries,
      password,
      settings: { work_mem: "no" },
    });
    await expect(broken.start()).rejects.toMatchObject({ log: expect.stringContaining('"work_mem"') as string });
    const mended = await openCluster({ directory: cluster.directory, binaries, password });
    await mended.start();
    await mended.stop();
    await cluster.start();
  });

  test("starts over a postmaster.pid whose id went to another program", async () => {
    await cluster.kill();
    const file = path.join(cluster.dataDirectory, "postmaster.pid");
    const stranger = spawn(process.execPath, ["-e", "process.stdin.resume()"], { stdio: ["pipe", "ignore", "ignore"] });
    const text = await readFile(file, "utf8");
    await writeFile(file, text.replace(/^\d+/, String(stranger.pid)));
    await cluster.start();
    expect(cluster.pid).not.toBe(stranger.pid);
    await withClient(cluster.url, (client) => client.query("select 1"));
    expect(stranger.exitCode).toBeNull();
    stranger.kill();
  });

  test("runs statements while stopped and tells the one that failed", async () => {
    await cluster.stop();
    await cluster.runOffline(["create table offline (id int)", "insert into offline\n values (1), (2)"]);
    await expect(cluster.runOffline(["select 1/0"])).rejects.toMatchObject({
      message: expect.stringContaining("division by zero") as string,
    });
    await cluster.start();
    const { rows } = await withClient(cluster.url, (client) => client.query("select count(*)::int from offline"));
    expect(rows).toEqual([{ count: 2 }]);
  });

  test("opens a copied data directory, root's own included, with settings that win over ALTER SYSTEM", async () => {
    await withClient(cluster.url, (client) => client.query("alter system set work_mem = '9MB'"));
    await cluster.stop();
    const dataDirectory = home("restored-data");
    await cp(cluster.dataDirectory, dataDirectory, { recursive: true, verbatimSymlinks: true });
    if (process.getuid?.() === 0) await chown(dataDirectory, 0, 0);
    await using copy = await openCluster({
      directory: home("restored"),
      dataDirectory,
      binaries,
      password,
      overrides: { work_mem: "5MB" },
    });
    await copy.start();
    const { rows } = await withClient(copy.url, (client) => client.query("show work_mem"));
    expect(rows).toEqual([{ work_mem: "5MB" }]);
    await cluster.start();
  });

  test("accepts what hba says instead of its own", async () => {
    await using open = await createCluster({
      directory: home("trusting"),
      binaries,
      password,
      durable: false,
      hba: "host all all 127.0.0.1/32 trust\n",
    });
    await open.start();
    const anonymous = new URL(open.url);
    anonymous.password = "";
    await expect(withClient(anonymous.href, (client) => client.query("select 1"))).resolves.toBeDefined();
    await open.remove();
    await expect(stat(open.directory)).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("is cloned while running, over one session, and the clone can be promoted", async () => {
    const clone = await withClient(cluster.url, (client) =>
      toDatabase(client).withSession((session) =>
        cluster.clone({ directory: home("online"), name: "online_1", session }),
      ),
    );
    await clone.start();
    await eventually(async () => (await clone.replicationState()).state === "streaming");
    await withClient(cluster.url, (client) => client.query("create table later (id int)"));
    await eventually(() =>
      withClient(
        clone.url,
        async (client) => (await client.query("select to_regclass('later') as t")).rows[0].t !== null,
      ),
    );
    await clone.promote();
    await withClient(clone.url, (client) => client.query("drop table later"));
    await expect(clone.promote()).rejects.toMatchObject({ code: "EMBEDDED_CLUSTER_FAILED" });
    await clone.remove();
  });

  test("is stopped for the copy when it is cloned without a session, and runs again after", async () => {
    const { url } = cluster;
    const clone = await cluster.clone({ directory: home("offline"), name: "offline_1" });
    expect(cluster.url).toBe(url);
    await clone.start();
    await eventually(async () => (await clone.replicationState()).state === "streaming");
    await clone.remove();
  });
});

test("a cluster that is removed while it runs leaves no shared memory", async (context) => {
  if (process.platform !== "linux") context.skip("only Linux tells what a process has mapped");
  const cluster = await createCluster({
    directory: home("removed"),
    binaries,
    password,
    durable: false,
    settings: throwawaySettings,
  });
  await cluster.start();
  await withClient(cluster.url, (client) => client.query("create table t as select 1 as one"));
  const mapped = await sharedFilesOf([cluster.pid!, ...(await childrenOf(cluster.pid!))]);
  expect(mapped.size).toBeGreaterThan(0);
  await cluster.remove();
  for (const file of mapped) await expect(stat(file)).rejects.toMatchObject({ code: "ENOENT" });
});
