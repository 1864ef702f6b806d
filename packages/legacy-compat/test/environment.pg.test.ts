import { closeConnectionManager, getConnectionManager } from "@db/legacy-compat/chanuka/core";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, expect, test, vi } from "vitest";

let cluster: TestCluster;
const set: Record<string, string> = {
  DB_HOST: "127.0.0.1",
  DB_NAME: "postgres",
  DB_USER: "postgres",
  DB_PASSWORD: "postgres",
  DB_CONNECTION_LIMIT: "2",
  DB_POOL_TIMEOUT: "1",
  DB_SLOW_QUERY_THRESHOLD: "50",
  DB_SOCKET_TIMEOUT: "1",
  DB_MAX_RETRIES: "0",
};

beforeAll(async () => {
  cluster = await startCluster();
  delete process.env["DATABASE_URL"];
  Object.assign(process.env, set, { DB_PORT: String(cluster.primary.port) });
});
afterAll(async () => {
  await cluster?.stop();
});

test("the old variables bound what they bounded", async () => {
  const manager = getConnectionManager();
  await manager.initialize();
  const pool = manager.getPool();
  expect(pool.stats().max).toBe(2);

  const held = await Promise.all([pool.connect(), pool.connect()]);
  await expect(pool.connect()).rejects.toMatchObject({ code: "POOL_ACQUIRE_TIMEOUT" });
  for (const client of held) client.release();

  await manager.query("select pg_sleep(0.06)");
  expect(pool.stats().slowQueries).toBe(1);

  // Shorter than DB_QUERY_TIMEOUT, it is the one that counts.
  await expect(manager.query("select pg_sleep(600)")).rejects.toMatchObject({ code: "POOL_QUERY_TIMEOUT" });
  await closeConnectionManager();

  delete process.env["DB_SOCKET_TIMEOUT"];
  process.env["DB_QUERY_TIMEOUT"] = "200";
  await manager.initialize();
  await expect(manager.query("select pg_sleep(600)")).rejects.toMatchObject({ code: "POOL_QUERY_TIMEOUT" });
  await closeConnectionManager();
});

test("the old variables say how often and how long apart work is tried again", async () => {
  Object.assign(process.env, { DB_MAX_RETRIES: "3", DB_RETRY_DELAY: "16", DB_RETRY_BACKOFF: "3" });
  const manager = getConnectionManager();
  await manager.initialize();
  const waits: unknown[] = [];
  const random = vi.spyOn(Math, "random").mockReturnValue(0.5);
  const timer = vi.spyOn(globalThis, "setTimeout");
  const clash = "do $$ begin raise exception 'clash' using errcode = '40001'; end $$";
  await expect(manager.query(clash)).rejects.toMatchObject({ code: "40001" });
  for (const [, ms] of timer.mock.calls) waits.push(ms);
  timer.mockRestore();
  random.mockRestore();
  // Half of 16 ms, and three times as much each time.
  expect(waits.filter((ms) => [8, 24, 72, 216].includes(ms as number))).toEqual([8, 24, 72]);
  expect(manager.getPool().stats().retries).toBe(3);
  await closeConnectionManager();
});
