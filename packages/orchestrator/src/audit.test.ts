import { appendFile, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@db/core";
import { describe, expect, test } from "vitest";
import { createAuditTrail } from "./audit.ts";
import { createEvents } from "./events.ts";

const open = (file: string | undefined) =>
  createAuditTrail({ file, actor: "tester", clock: systemClock, events: createEvents(() => undefined) });
const newFile = async () => join(await mkdtemp(join(tmpdir(), "audit-")), "audit.jsonl");

describe("audit trail", () => {
  test("records what succeeded and what failed, in order, and gives the error on", async () => {
    const trail = open(undefined);
    await trail.run(
      "backup.create",
      async () => 7,
      (bytes) => ({ bytes }),
    );
    await expect(
      trail.run("migration.apply", () => Promise.reject(new Error("at postgres://u:secret@h/d"))),
    ).rejects.toThrow();
    const [first, second] = await trail.entries();
    expect(first).toMatchObject({ sequence: 1, operation: "backup.create", outcome: "ok", details: { bytes: 7 } });
    expect(second).toMatchObject({ sequence: 2, outcome: "failed", previous: first!.hash });
    expect(JSON.stringify(second)).not.toContain("secret");
  });

  test("names whoever asked, through every service, and nobody else", async () => {
    const trail = open(undefined);
    const asked = { actor: "token:1f2e", details: { plan: "abc" } };
    await Promise.all([
      trail.onBehalf(asked, () =>
        trail.run(
          "backup.create",
          async () => 7,
          (bytes) => ({ bytes }),
        ),
      ),
      trail.run("validation.run", async () => undefined),
      expect(trail.onBehalf(asked, () => trail.run("x", () => Promise.reject(new Error("no"))))).rejects.toThrow(),
    ]);
    const by = Object.fromEntries((await trail.entries()).map((entry) => [entry.operation, entry]));
    expect(by["backup.create"]).toMatchObject({ actor: "token:1f2e", details: { plan: "abc", bytes: 7 } });
    expect(by["x"]).toMatchObject({ actor: "token:1f2e", outcome: "failed", details: { plan: "abc" } });
    expect(by["validation.run"]).toMatchObject({ actor: "tester", details: {} });
  });

  test("keeps one chain when two processes write the same file", async () => {
    const file = await newFile();
    const trails = [open(file), open(file)];
    await Promise.all(
      Array.from({ length: 20 }, (_, index) => trails[index % 2]!.run(`op.${index}`, async () => undefined)),
    );
    expect((await open(file).entries()).map((entry) => entry.sequence)).toEqual(
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
  });

  test("sets half a line aside after a crash and goes on", async () => {
    const file = await newFile();
    await open(file).run("a", async () => undefined);
    await appendFile(file, '{"sequence":2,"oper');
    const trail = open(file);
    await trail.run("b", async () => undefined);
    expect((await trail.entries()).map((entry) => entry.operation)).toEqual(["a", "b"]);
    expect(await readFile(`${file}.torn`, "utf8")).toContain('"oper');
  });

  test("tells an entry that was changed afterwards", async () => {
    const file = await newFile();
    const trail = open(file);
    await trail.run("a", async () => undefined);
    await trail.run("b", async () => undefined);
    await writeFile(file, (await readFile(file, "utf8")).replace('"a"', '"x"'));
    await expect(open(file).entries()).rejects.toMatchObject({ code: "ORCHESTRATOR_AUDIT_BROKEN" });
  });

  test("takes over the lock of a process that was killed", async () => {
    const file = await newFile();
    await writeFile(`${file}.lock`, "2147483646");
    await open(file).run("a", async () => undefined);
    expect(await open(file).entries()).toHaveLength(1);
  });
});
