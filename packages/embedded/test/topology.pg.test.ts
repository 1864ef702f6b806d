import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { isDbError } from "@db/core";
import { type LocalTopology, type LocalTopologyOptions, NoFreePortError, openLocalTopology } from "@db/embedded";
import { afterAll, describe, expect, test } from "vitest";
import { startChild } from "./child.ts";
import { eventually, makeSandbox, withClient } from "./sandbox.ts";

const sandbox = await makeSandbox();
afterAll(() => sandbox.remove());
const directory = path.join(sandbox.path, "project", ".db");

const open = (options: Partial<LocalTopologyOptions> = {}): Promise<LocalTopology> =>
  openLocalTopology({ directory, durable: false, ...options });

async function expectStreaming(topology: LocalTopology): Promise<void> {
  const names = await withClient(topology.primary.url, async (client) => {
    const { rows } = await client.query("select application_name as name from pg_stat_replication order by 1");
    return rows.map((row: { name: string }) => row.name);
  });
  expect(names).toEqual(topology.replicas.map((_, index) => `replica_${index + 1}`));
}

async function readsOnReplica(topology: LocalTopology, table: string): Promise<void> {
  await eventually(() =>
    withClient(topology.replicas[0]!.url, async (client) => {
      const { rows } = await client.query("select to_regclass($1) as found", [table]);
      return rows[0].found !== null;
    }),
  );
}

describe("openLocalTopology", () => {
  test("makes a primary and a replica that streams, with statements counted", async () => {
    const messages: string[] = [];
    await using topology = await open({ onProgress: ({ message }) => messages.push(message ?? "") });
    expect(topology.created).toBe(true);
    expect(messages.at(-1)).toBe("the database is up");
    await expectStreaming(topology);
    await withClient(topology.primary.url, (client) => client.query("create table kept (id int)"));
    const { rows } = await withClient(topology.primary.url, (client) => client.query("show shared_preload_libraries"));
    expect(rows).toEqual([{ shared_preload_libraries: "pg_stat_statements" }]);
    await readsOnReplica(topology, "kept");
  });

  test("keeps data, address and password from run to run", async () => {
    const first = await open();
    await first.close();
    await using second = await open();
    expect(second.created).toBe(false);
    expect(second.primary.url).toBe(first.primary.url);
    expect((await stat(path.join(directory, "password"))).mode & 0o777).toBe(0o600);
    await readsOnReplica(second, "kept");
    expect(second.rebuilt).toEqual([]);
  });

  test("closes twice without harm and leaves no process behind", async () => {
    const topology = await open();
    await topology.close();
    await topology.close();
    expect(await topology.primary.isRunning()).toBe(false);
    expect(await topology.replicas[0]!.isRunning()).toBe(false);
  });

  test("tells a second opener who has it, in this process and from another", async () => {
    await using topology = await open();
    await expect(open()).rejects.toMatchObject({ code: "EMBEDDED_IN_USE", pid: process.pid });
    const child = startChild({ directory });
    const event = await child.until(({ event }) => event === "failed");
    expect(event).toMatchObject({ code: "EMBEDDED_IN_USE" });
    expect(event.message).toContain(`(pid ${process.pid})`);
    expect(event.message).toContain(`port ${topology.primary.port}`);
  });

  test("copies a replica anew that was promoted behind its back", async () => {
    const topology = await open();
    await topology.replicas[0]!.promote();
    await withClient(topology.replicas[0]!.url, (client) => client.query("create table diverged (id int)"));
    await topology.close();
    await using again = await open();
    expect(again.rebuilt).toEqual(["replica_1"]);
    await expectStreaming(again);
    await readsOnReplica(again, "kept");
  });

  test("copies a replica anew whose WAL the primary no longer has", async () => {
    const topology = await open();
    const [replica] = topology.replicas;
    await replica!.stop();
    await withClient(topology.primary.url, async (client) => {
      await client.query("select pg_drop_replication_slot('replica_1')");
      await client.query("create table after_gap (id int)");
      for (let index = 0; index < 3; index += 1) await client.query("select pg_switch_wal()");
      await client.query("checkpoint");
    });
    await topology.close();
    await using again = await open();
    expect(again.rebuilt).toEqual(["replica_1"]);
    await readsOnReplica(again, "after_gap");
  });

  test("adds replicas when more are wanted and lets their slots go when fewer are", async () => {
    const more = await open({ replicas: 2 });
    await expectStreaming(more);
    await more.close();
    await using none = await open({ replicas: 0 });
    const { rows } = await withClient(none.primary.url, (client) =>
      client.query("select count(*)::int as slots from pg_replication_slots"),
    );
    expect(rows).toEqual([{ slots: 0 }]);
  });

  test("clears what a killed run was making and puts aside what bears no mark of completion", async () => {
    const half = path.join(directory, "replica_1.making-0000", "data");
    await mkdir(half, { recursive: true });
    await writeFile(path.join(half, "PG_VERSION"), "18\n");
    await rm(path.join(directory, "replica_1", "cluster.json"));
    await using topology = await open();
    await expectStreaming(topology);
    const names = await readdir(directory);
    expect(names.some((name) => name.includes(".making-"))).toBe(false);
    expect(names.some((name) => name.startsWith("replica_1.unfinished-"))).toBe(true);
  });

  test("goes on with a primary whose own mark is missing only after putting it aside", async () => {
    const mark = path.join(directory, "primary", "cluster.json");
    const text = await readFile(mark);
    await rm(mark);
    await using topology = await open();
    expect(topology.created).toBe(true);
    const aside = (await readdir(directory)).find((name) => name.startsWith("primary.unfinished-"));
    expect(await readdir(path.join(directory, aside!, "data"))).toContain("PG_VERSION");
    expect(text.length).toBeGreaterThan(0);
  });

  test("refuses data of another major version and tells the ways out", async () => {
    const file = path.join(directory, "primary", "data", "PG_VERSION");
    await writeFile(file, "15\n");
    const failure = await open().catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "EMBEDDED_DATA_VERSION", dataMajor: 15, wantedMajor: 18 });
    expect(isDbError(failure) && failure.hint).toContain("--fresh");
    await writeFile(file, "18\n");
    await using topology = await open();
    expect(topology.created).toBe(false);
  });

  test("deletes everything and begins again when asked for a fresh start", async () => {
    const topology = await open();
    await withClient(topology.primary.url, (client) => client.query("create table gone (id int)"));
    await topology.close();
    await using fresh = await open({ fresh: true });
    expect(fresh.created).toBe(true);
    await expectStreaming(fresh);
    const { rows } = await withClient(fresh.primary.url, (client) => client.query("select to_regclass('gone') as t"));
    expect(rows).toEqual([{ t: null }]);
  });

  test("says that no port can be bound, stops what it began and can be opened again", async () => {
    await rm(path.join(directory, "ports.json"));
    const findPort = async (): Promise<number> => {
      throw new NoFreePortError("no port of 127.0.0.1 can be bound: none");
    };
    await expect(open({ findPort })).rejects.toMatchObject({ code: "EMBEDDED_NO_PORT" });
    await using topology = await open();
    await expectStreaming(topology);
  });

  test("ends in order when it is aborted half-way", async () => {
    const controller = new AbortController();
    const opening = open({
      signal: controller.signal,
      onProgress: ({ message }) => message === "starting the replicas" && controller.abort(),
    });
    await expect(opening).rejects.toMatchObject({ code: "CORE_ABORTED" });
    await using topology = await open();
    expect(topology.recovered).toEqual([]);
  });

  test("says that a directory cannot be written", async () => {
    const readOnly = path.join(sandbox.path, "read-only");
    await mkdir(readOnly, { mode: 0o555 });
    // Root may write anywhere: the attempt is another account's.
    const identity = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
    const child = startChild({ directory: path.join(readOnly, ".db") }, identity);
    const event = await child.until(({ event }) => event === "failed");
    expect(event).toMatchObject({ code: "EMBEDDED_DIRECTORY" });
    expect(event.message).toContain(`cannot write the database's directory ${path.join(readOnly, ".db")}`);
  });
});
