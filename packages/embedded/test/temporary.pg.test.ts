import { access, cp } from "node:fs/promises";
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
