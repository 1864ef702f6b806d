import { open } from "node:fs/promises";
import { join } from "node:path";
import { startCluster } from "@db/testkit";
import { expect, test } from "vitest";
import { emptyFolder, runDb } from "./binary.ts";

test("a backup with a broken page fails the command that takes it, and is told of wherever backups are looked at", async () => {
  await using cluster = await startCluster();
  const folder = await emptyFolder();
  try {
    const client = await cluster.connect();
    await client.query("create table damaged as select n, repeat('x', 600) as body from generate_series(1, 500) n");
    const { rows } = await client.query<{ path: string }>("select pg_relation_filepath('damaged') as path");
    await client.end();
    const env = { DATABASE_URL: cluster.primary.url, BACKUP_PATH: join(folder.path, "repository") };
    const db = (...words: string[]) => runDb(words, { cwd: folder.path, env });
    expect(await db("backup", "run")).toMatchObject({ code: 0 });
    await cluster.primary.stop("fast");
    {
      await using file = await open(join(cluster.primary.dataDirectory, rows[0]!.path), "r+");
      await file.write(Buffer.from("a dying disk wrote this"), 0, 20, 3 * 8_192 + 4_000);
    }
    await cluster.primary.start();
    // What a timer runs: its exit code is the alert that reaches whoever runs it.
    const ran = await db("backup", "run");
    expect([ran.code, ran.stdout]).toEqual([
      4,
      expect.stringMatching(/critical the server found 1 broken page while sending/),
    ]);
    const [label] = /\d{8}-\d{6}F\S*(?=: )/.exec(ran.stdout)!;
    const listed = await db("backup", "list");
    expect(listed.stdout).toMatch(new RegExp(`${label} .* suspect [^]*${label}: the server found broken pages in it`));
    expect((await db("backup", "show", label)).stdout).toContain("suspect");
    const planned = await db("restore", "plan", "--to", join(folder.path, "restored"), "--json");
    expect(planned.stdout).not.toContain(`"label": "${label}"`);
  } finally {
    await folder.remove();
  }
});
