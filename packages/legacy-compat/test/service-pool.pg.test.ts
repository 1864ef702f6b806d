import { once } from "node:events";
import { DatabaseService } from "@db/legacy-compat/chanuka";
import { startScriptedServer } from "@db/testkit";
import { Pool } from "pg";
import { afterEach, describe, expect, test } from "vitest";

const service = DatabaseService.getInstance();

/** A server that answers to everything, and resets the connection at the statement that matches. */
async function serverThatEndsAt(end: RegExp) {
  return await startScriptedServer(async (connection) => {
    await connection.welcome();
    await connection.serve((statement) => {
      if (!end.test(statement)) return { tag: statement.toUpperCase() };
      connection.reset();
      return { tag: "" };
    });
  });
}

afterEach(() => service.shutdown());

describe("a transaction of the service", () => {
  test("says that its outcome is not known when the answer to COMMIT is lost", async () => {
    await using server = await serverThatEndsAt(/^commit/i);
    const pool = new Pool({ connectionString: server.url, max: 1 });
    service.initialize(pool);
    await expect(service.withTransaction((client) => client.query("insert"))).rejects.toMatchObject({
      code: "POOL_TRANSACTION_OUTCOME_UNKNOWN",
      retryable: false,
    });
    expect(pool.totalCount).toBe(0);
  });

  test("outlives the end of its connection between two statements", async () => {
    await using server = await serverThatEndsAt(/^insert/i);
    const pool = new Pool({ connectionString: server.url, max: 1 });
    service.initialize(pool);
    const failing = service.withTransaction(async (client) => {
      // pg tells it to listeners of the client too; without one, the process would end here.
      const told = once(client, "error");
      await client.query("insert").catch(() => undefined);
      await told;
    });
    await expect(failing).rejects.toThrow();
    expect(pool.totalCount).toBe(0);
    expect((await service.healthCheck()).healthy).toBe(true);
  });

  test("gives no client back that it could not roll back, and throws the error that came first", async () => {
    await using server = await startScriptedServer(async (connection) => {
      await connection.welcome();
      await connection.serve((statement) =>
        statement === "rollback" ? { error: { code: "XX000", message: "no" } } : { tag: statement.toUpperCase() },
      );
    });
    const pool = new Pool({ connectionString: server.url, max: 1 });
    service.initialize(pool);
    for (const first of [new Error("first"), "first"]) {
      await expect(service.withTransaction(() => Promise.reject(first as Error))).rejects.toBe(first);
      expect(pool.totalCount).toBe(0);
    }
  });
});
