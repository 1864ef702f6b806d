import { EventEmitter } from "node:events";
import type { Pool } from "@db/pool";
import { describe, expect, test } from "vitest";
import { createHealthWatch } from "./health-watch.ts";

function watchOf(intervalMs: number | false) {
  const pool = new EventEmitter();
  const looks = new EventEmitter();
  let count = 0;
  const health = async (): Promise<void> => void looks.emit("look", (count += 1));
  const watch = createHealthWatch(pool as unknown as Pool, health, intervalMs);
  const reaches = async (least: number): Promise<void> => {
    while (count < least) await new Promise((done) => looks.once("look", done));
  };
  return { pool, watch, reaches, count: () => count };
}

describe("the health watch", () => {
  test("looks at its start and on its interval", async () => {
    const { watch, reaches } = watchOf(10);
    await watch.start();
    await watch.start();
    await reaches(3);
    await watch.stop();
  });

  test("looks at once when a server or its circuit changes, and no more when stopped", async () => {
    const { pool, watch, count } = watchOf(3_600_000);
    await watch.start();
    expect(count()).toBe(1);
    pool.emit("server-state", {});
    expect(count()).toBe(2);
    pool.emit("breaker", {});
    expect(count()).toBe(3);
    await watch.stop();
    pool.emit("server-state", {});
    expect(count()).toBe(3);
  });

  test("never looks by itself when it is off", async () => {
    const { pool, watch, count } = watchOf(false);
    await watch.start();
    pool.emit("server-state", {});
    expect(count()).toBe(0);
    await watch.stop();
  });
});
