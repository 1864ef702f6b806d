import { describe, expect, test } from "vitest";
import { type Queryable, toDatabase } from "./index.ts";

/** Records what is run on it; fails where told to. */
function session(failOn?: string) {
  const log: string[] = [];
  const query: Queryable["query"] = async (text) => {
    log.push(text);
    if (text === failOn) throw Object.assign(new Error(text), { code: "23505" });
    return { rows: [] };
  };
  return { log, query };
}

describe("toDatabase", () => {
  test("gives a Database back as it is", () => {
    const database = { ...session(), withSession: async () => 0 as never, withTransaction: async () => 0 as never };
    expect(toDatabase(database)).toBe(database);
  });

  test("releases a pool's client on every exit and keeps it after an SQL error", async () => {
    const released: unknown[] = [];
    const client = session("bad");
    const pool = {
      ...session(),
      totalCount: 1,
      connect: async () => ({
        ...client,
        on: () => undefined,
        off: () => undefined,
        removeListener: () => undefined,
        release: (error?: unknown) => void released.push(error),
      }),
    };
    await expect(toDatabase(pool as never).withTransaction((tx) => tx.query("bad"))).rejects.toThrow("bad");
    expect(client.log).toEqual(["begin", "bad", "rollback"]);
    expect(released).toEqual([undefined]);
  });

  test("runs the sessions of a single client one after the other", async () => {
    const client = { ...session(), host: "h", port: 5432 };
    const database = toDatabase(client);
    await Promise.all([
      database.withTransaction((tx) => tx.query("a")),
      database.withTransaction((tx) => tx.query("b")),
    ]);
    expect(client.log).toEqual(["begin", "a", "commit", "begin", "b", "commit"]);
  });
});
