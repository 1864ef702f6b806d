import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { archiveAndRecover, openWalPlace, receiveAndStop, type WalPlace } from "./wal-scenario.ts";

let place: WalPlace;
beforeAll(async () => {
  place = await openWalPlace(18);
});
afterAll(() => place?.[Symbol.asyncDispose]());

test("db wal push archives, db wal fetch recovers, and a broken segment stops recovery", () =>
  archiveAndRecover(place));

test("db wal receive stores every commit until Ctrl-C, and tells the server of no more than that", () =>
  receiveAndStop(place));

test("db wal serve has the key, and the commands ask it", async () => {
  const socket = join(place.folder, "wal.sock");
  const serving = place.start("wal", "serve", "--socket", socket);
  await serving.printed("serving the WAL");
  const ask = place.command(`fetch 000000FF00000000000000AA ${join(place.folder, "nothing")} --socket ${socket}`);
  const control = place.cluster.primary.dataDirectory;
  const { execFile } = await import("node:child_process");
  const code = await new Promise((done) =>
    execFile("sh", ["-c", ask.replace(/^BACKUP_ENCRYPTION_KEY_FILE=\S+/, "")], { cwd: control }, (error) =>
      done(error?.code),
    ),
  );
  // Not known which cluster a folder is of that holds none: a failure, not "not there".
  expect(code).toBe(255);
  process.kill(serving.child.pid!, "SIGTERM");
  expect((await serving.ended).code).toBe(0);
});

test("a mistaken or broken fetch never says that a segment is not there", async () => {
  for (const words of [[], ["x"], ["x", "y", "--bogus"], ["x", "y", "z"], ["x", "y", "--timeout", "1ms"]])
    expect((await place.db("wal", "fetch", ...words)).code, words.join(" ")).toBe(255);
  await writeFile(join(place.folder, "db.config.json"), "{ not json");
  expect((await place.db("wal", "fetch", "x", "y", "--config", "db.config.json")).code).toBe(255);
  for (const words of [[], ["x", "--bogus"], ["nothing"]])
    expect((await place.db("wal", "push", ...words)).code, words.join(" ")).toBe(2);
});
