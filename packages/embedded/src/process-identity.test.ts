import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { childrenOf, commandOf, identify, isSameProcess, startTimeMs } from "./process-identity.ts";

describe("identify", () => {
  test("tells a process apart from an earlier one with its id", async () => {
    const self = await identify(process.pid);
    expect(self).toBeDefined();
    expect(await isSameProcess(self!)).toBe(true);
    if (process.platform !== "win32") expect(await isSameProcess({ ...self!, startedAt: "before" })).toBe(false);
  });

  test("finds no process once it ended, nor for ids that cannot be", async () => {
    const child = spawn(process.execPath, ["-e", ""]);
    await once(child, "exit");
    expect(await identify(child.pid!)).toBeUndefined();
    expect(await identify(0)).toBeUndefined();
    expect(await identify(Number.NaN)).toBeUndefined();
  });
});

if (process.platform === "win32")
  process.stderr.write("skipped: Windows does not tell a process's children and start\n");
test.skipIf(process.platform === "win32")("a process's children, command and start are told", async () => {
  const child = spawn(process.execPath, ["-e", "process.stdin.resume()"], { stdio: ["pipe", "ignore", "ignore"] });
  await once(child, "spawn");
  expect(await childrenOf(process.pid)).toContain(child.pid);
  expect(await commandOf(child.pid!)).toContain("process.stdin.resume()");
  expect(Math.abs((await startTimeMs(child.pid!))! - Date.now())).toBeLessThan(5_000);
  child.kill();
  await once(child, "exit");
});
