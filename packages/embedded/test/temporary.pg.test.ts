import { access, chmod, cp, mkdir } from "node:fs/promises";
import path from "node:path";
import { startTemporaryCluster } from "@db/embedded";
import { afterAll, describe, expect, test } from "vitest";
import { makeSandbox, withClient } from "./sandbox.ts";

const sandbox = await makeSandbox();
afterAll(() => sandbox.remove());

describe("startTemporaryCluster", () => {
  test("runs an empty cluster that is gone once disposed of", async () => {
    const temporary = await startTemporaryCluster({ settings: { work_mem: "6MB" } });
    const { rows } = await withClient(temporary.url, (client) => client.query("show work_mem"));
    expect(rows).toEqual([{ work_mem: "6MB" }]);
    await temporary[Symbol.asyncDispose]();
    expect(await temporary.cluster.isRunning()).toBe(false);
    await expect(access(temporary.cluster.directory)).rejects.toMatchObject({ code: "ENOENT" });
  });

  test.skipIf(process.platform === "win32")(
    "has a Unix socket where one is asked for, and none otherwise",
    async () => {
      const show = "select current_setting('unix_socket_directories') as directory";
      await using without = await startTemporaryCluster();
      expect((await withClient(without.url, (client) => client.query(show))).rows).toEqual([{ directory: "" }]);
      // The server makes the socket, so its account must be able to.
      const directory = path.join(sandbox.path, "socket");
      await mkdir(directory);
      await chmod(directory, 0o777);
      const overrides = { unix_socket_directories: directory };
      await using temporary = await startTemporaryCluster({ overrides, password: "known" });
      const bySocket = `postgres://postgres:known@localhost/postgres?host=${directory}&port=${temporary.cluster.port}`;
      const { rows } = await withClient(bySocket, (client) => client.query("select inet_server_addr() as address"));
      expect(rows).toEqual([{ address: null }]);
    },
  );

  test("runs data that was given and leaves it where it is", async () => {
    const dataDirectory = path.join(sandbox.path, "restored");
    {
      await using source = await startTemporaryCluster({ password: "known" });
      await withClient(source.url, (client) => client.query("create table restored as select 3 as value"));
      await source.cluster.stop();
      await cp(source.cluster.dataDirectory, dataDirectory, { recursive: true, verbatimSymlinks: true });
    }
    {
      await using copy = await startTemporaryCluster({ dataDirectory, password: "known" });
      const { rows } = await withClient(copy.url, (client) => client.query("select value from restored"));
      expect(rows).toEqual([{ value: 3 }]);
    }
    await expect(access(path.join(dataDirectory, "PG_VERSION"))).resolves.toBeUndefined();
  });
});
