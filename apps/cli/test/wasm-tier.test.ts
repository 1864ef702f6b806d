import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { binary } from "./binary.ts";

const execute = promisify(execFile);

test("a command that parses thousands of statements compiles the parser once", async () => {
  const folder = await mkdtemp(join(tmpdir(), "wasm-tier-"));
  try {
    const table = (index: number): string => `create table t${index} (id bigint primary key, at timestamptz not null);`;
    await writeFile(
      join(folder, "0001_many.sql"),
      Array.from({ length: 3_000 }, (_, index) => table(index)).join("\n"),
    );
    const traced = ["--trace-wasm-compilation-times", binary, "migrate", "lint", "--all", "--dir", folder];
    const { stdout } = await execute(process.execPath, traced, { cwd: folder, maxBuffer: 64 * 1024 * 1024 });
    expect(stdout).toContain("using Liftoff");
    expect(stdout).not.toContain("using TurboFan");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
