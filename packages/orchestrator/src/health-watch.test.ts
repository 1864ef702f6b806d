import { EventEmitter } from "node:events";
import type { Pool } from "@db/pool";
import { describe, expect, test, vi } from "vitest";
import { createHealthWatch } from "./health-watch.ts";

function watchOf(intervalMs: number | false) {
  const pool = new EventEmitter();
  const looks = vi.fn(async () => undefined);
  return { pool, looks, watch: createHealthWatch(pool as unknown as Pool, looks, intervalMs) };
}

describe("the health watch", () => {
  test("looks at its start and on its interval", async () => {
    const { watch, looks } = watchOf(10);
    await watch.start();
    await watch.start();
    await expect.poll(() => looks.mock.calls.length).toBeGreaterThan(2);
    await watch.stop();
  });

  test("looks at once when a server or its circuit changes, and no more when stopped", async () => {
    const { pool, watch, looks } = watchOf(3_600_000);
    await watch.start();
    expect(looks).toHaveBeenCalledTimes(1);
    pool.emit("server-state", {});
    expect(looks).toHaveBeenCalledTimes(2);
    pool.emit("breaker", {});
    expect(looks).toHaveBeenCalledTimes(3);
    await watch.stop();
    pool.emit("server-state", {});
    expect(looks).toHaveBeenCalledTimes(3);
  });

  test("never looks by itself when it is off", async () => {
    const { pool, watch, looks } = watchOf(false);
    await watch.start();
    pool.emit("server-state", {});
    expect(looks).toHaveBeenCalledTimes(0);
    await watch.stop();
  });
});
