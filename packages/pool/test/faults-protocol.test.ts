import { systemClock } from "@db/core";
import { createPool, Pool, type PoolOptions } from "@db/pool";
import { protocol, type ScriptedConnection, startScriptedServer } from "@db/testkit";
import { Client } from "pg";
import { describe, expect, test } from "vitest";
import { makeKnown } from "./known.ts";

const quiet: Partial<PoolOptions> = {
  probeIntervalMs: false,
  circuitBreaker: false,
  validateAfterIdleMs: false,
  retry: { retries: 20, minDelayMs: 1, maxDelayMs: 20 },
};
const read = "select $1::text as v";
const write = "insert into t values ($1)";

async function rejection(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => {
      throw new Error("expected a rejection");
    },
    (error: unknown) => error,
  );
}

const nothing = [protocol.message("I"), protocol.readyForQuery()];

/** The messages of one statement, up to its Sync or its simple query. What takes the way, when slow, is answered. */
async function asked(connection: ScriptedConnection, note?: (body: Buffer) => void): Promise<string> {
  for (let types = ""; ;) {
    const { type, body } = await connection.read();
    if (type === "B") note?.(body);
    if (type === "Q" && body.length === 1) {
      connection.send(...nothing);
      continue;
    }
    types += type;
    if (type === "S" || type === "Q") return types;
    if (type === "X") throw new Error("the client said goodbye");
  }
}

const row = [protocol.dataRow(["1"]), protocol.commandComplete("SELECT 1")];
const answers: Readonly<Record<string, readonly Buffer[]>> = {
  P: [protocol.parseComplete],
  B: [protocol.bindComplete],
  C: [protocol.closeComplete],
  D: [protocol.rowDescription(["v"])],
  E: row,
  S: [protocol.readyForQuery()],
  Q: [protocol.rowDescription(["v"]), ...row, protocol.readyForQuery()],
};

/** What the server says to the messages of a statement, or only to those of some types. */
function reply(types: string, only = "PBCDESQ"): Buffer[] {
  return Array.from(types).flatMap((type) => (only.includes(type) ? answers[type]! : []));
}

async function well(connection: ScriptedConnection): Promise<void> {
  for (;;) connection.send(...reply(await asked(connection)));
}

/** A server whose first connection does as told once it was welcomed; those after it are well. */
function firstOf(first: (connection: ScriptedConnection) => Promise<void>) {
  let connections = 0;
  return startScriptedServer(async (connection) => {
    connections += 1;
    const mine = connections;
    await connection.welcome();
    await (mine === 1 ? first(connection) : well(connection));
  });
}

const warming = "warming up";

/** After what makes the pool share a connection, takes the next two statements before it answers to either. */
async function twoOnOne(connection: ScriptedConnection): Promise<[string, string]> {
  for (;;) {
    let warms = false;
    const types = await asked(connection, (body) => (warms = body.includes(warming)));
    if (!warms) return [types, await asked(connection)];
    connection.send(...reply(types));
  }
}

function sharing(url: string, options: Partial<PoolOptions> = {}) {
  return createPool({ primaryUrl: url, ...quiet, max: 2, ...options });
}

const warm = (pool: ReturnType<typeof sharing>): Promise<void> => makeKnown(pool, read, [warming]);

const garbage: [string, Buffer][] = [
  ["of another protocol", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
  ["of an unknown type", protocol.message("!", protocol.text("?"))],
  ["of an impossible length", Buffer.from([0x44, 0, 0, 0, 1, 0])],
];

describe.each(garbage)("a message %s", (_, bytes) => {
  test.each([{ pipeline: {} }, { pipeline: false as const }])(
    "costs a statement its connection, which is never used again, and the next has a new one: %o",
    async (options) => {
      const gone = Promise.withResolvers<string>();
      await using server = await firstOf(async (connection) => {
        const types = await asked(connection);
        // What comes behind it looks like an answer, and is not to be taken for one.
        connection.send(...reply(types, "PB"), bytes, ...reply(types, "DES"));
        gone.resolve(await asked(connection).catch((error: Error) => error.message));
      });
      await using pool = createPool({ primaryUrl: server.url, ...quiet, max: 1, retry: false, ...options });
      expect(await rejection(pool.query(read, [1]))).toMatchObject({
        code: "POOL_CONNECTION_LOST",
        phase: "started",
        cause: { message: expect.stringContaining("no message") as string },
      });
      expect((await pool.query(read, [1])).rows).toEqual([{ v: "1" }]);
      expect(await gone.promise).toMatch(/client/);
      expect(server.accepted).toBe(2);
      expect(pool.stats()).toMatchObject({ protocolErrors: 1, total: 1 });
      expect(pool.stats().servers[0]).toMatchObject({ connectionsOpened: 2, connectionsClosed: 1 });
    },
  );

  test("costs all that share a connection theirs, and the next has a new one", async () => {
    const gone = Promise.withResolvers<string>();
    await using server = await firstOf(async (connection) => {
      const [first, second] = await twoOnOne(connection);
      connection.send(...reply(first, "PB"), bytes, ...reply(first, "DES"), ...reply(second));
      gone.resolve(await asked(connection).catch((error: Error) => error.message));
    });
    await using pool = sharing(server.url, { retry: false });
    await warm(pool);
    const [first, second] = await Promise.all([rejection(pool.query(read, ["a"])), rejection(pool.query(read, ["b"]))]);
    expect(first).toMatchObject({ code: "POOL_CONNECTION_LOST", phase: "started" });
    expect(second).toMatchObject({ code: "POOL_CONNECTION_LOST", phase: "sent" });
    expect((await pool.query(read, ["c"])).rows).toEqual([{ v: "1" }]);
    expect(await gone.promise).toMatch(/client/);
    expect(pool.stats().protocolErrors).toBe(1);
  });

  test("costs an idle connection its place, and no statement anything", async () => {
    const send = Promise.withResolvers<void>();
    await using server = await firstOf(async (connection) => {
      connection.send(...reply(await asked(connection)));
      await send.promise;
      connection.send(bytes);
      await asked(connection);
    });
    await using pool = createPool({ primaryUrl: server.url, ...quiet, max: 1, retry: false });
    const removed = new Promise((resolve) => pool.on("remove", resolve));
    await pool.query(read, [1]);
    send.resolve();
    await removed;
    expect((await pool.query(write, [1])).rows).toEqual([{ v: "1" }]);
    expect(pool.stats()).toMatchObject({ protocolErrors: 1, idleFailures: 1 });
  });
});

test("a message of an unknown type costs a client class of the caller's own its connection too", async () => {
  await using server = await firstOf(async (connection) => {
    const types = await asked(connection);
    connection.send(...reply(types, "PB"), protocol.message("!"), ...reply(types, "DES"));
    await asked(connection);
  });
  class OwnClient extends Client {}
  await using pool = new Pool({
    connectionString: server.url,
    Client: OwnClient,
    max: 1,
    retry: false,
    probeIntervalMs: false,
  });
  expect(await rejection(pool.query(read, [1]))).toMatchObject({ code: "POOL_CONNECTION_LOST" });
  expect((await pool.query(read, [1])).rows).toEqual([{ v: "1" }]);
  expect(server.accepted).toBe(2);
});

describe("a server that refuses connections", () => {
  test("because it is starting is asked again after a wait, until it is ready; a write is sent once", async () => {
    let refusals = 3;
    let statements = 0;
    await using server = await startScriptedServer(async (connection) => {
      if (refusals > 0) {
        refusals -= 1;
        await connection.startup();
        connection.error({ severity: "FATAL", code: "57P03", message: "the database system is starting up" });
        return;
      }
      await connection.welcome();
      for (;;) {
        const types = await asked(connection);
        statements += 1;
        connection.send(...reply(types));
      }
    });
    const waits: number[] = [];
    const clock = {
      ...systemClock,
      now: () => systemClock.now(),
      sleep: (ms: number, signal?: AbortSignal) => {
        waits.push(ms);
        return systemClock.sleep(ms, signal);
      },
    };
    await using pool = createPool({ primaryUrl: server.url, ...quiet, clock });
    expect((await pool.query(write, [1])).rows).toEqual([{ v: "1" }]);
    expect(waits).toHaveLength(3);
    expect(pool.stats().retries).toBe(3);
    expect(pool.stats().servers[0]).toMatchObject({ connectionsFailed: 3, connectionsOpened: 1 });
    expect(statements).toBe(1);
  });

  /** A server that has room for one connection, the `allowed`th that asks. */
  async function fullServer(allowed: number) {
    let seen = 0;
    const refusals = Promise.withResolvers<void>();
    const server = await startScriptedServer(async (connection) => {
      seen += 1;
      if (seen === allowed) {
        await connection.welcome();
        await well(connection);
        return;
      }
      if (seen > allowed) refusals.resolve();
      await connection.startup();
      connection.error({ severity: "FATAL", code: "53300", message: "sorry, too many clients already" });
    });
    return { server, refusedAgain: refusals.promise };
  }
  const forty = Array.from({ length: 40 }, () => ({ v: "1" }));

  test("because it is full is asked again, also for those who wait when nobody new comes", async () => {
    const { server, refusedAgain } = await fullServer(3);
    await using _ = server;
    await using pool = createPool({ primaryUrl: server.url, ...quiet, max: 20, acquireTimeoutMs: 30_000 });
    // Refused with nothing there to serve it: it has to try again.
    await pool.query(write, [0]);
    expect(server.accepted).toBe(3);
    const held = await pool.connect();
    const waiting = Promise.all(forty.map(() => pool.query(write, [1])));
    await Promise.race([refusedAgain, waiting]);
    held.release();
    expect((await waiting).flatMap(({ rows }) => rows)).toEqual(forty);
  });

  test("because it is full keeps the connection there is, which serves everybody without a retry", async () => {
    const { server, refusedAgain } = await fullServer(1);
    await using _ = server;
    await using pool = createPool({
      primaryUrl: server.url,
      ...quiet,
      max: 20,
      acquireTimeoutMs: 30_000,
      retry: false,
    });
    const held = await pool.connect();
    const waiting = Promise.all(forty.map(() => pool.query(write, [1])));
    await Promise.race([refusedAgain, waiting]);
    // It is not asked again for each of them.
    await expect.poll(() => pool.stats().servers[0]!.allowed, { timeout: 20_000 }).toBe(1);
    held.release();
    expect((await waiting).flatMap(({ rows }) => rows)).toEqual(forty);
    expect(pool.stats().servers[0]).toMatchObject({ connectionsOpened: 1, connectionsClosed: 0 });
    expect(server.accepted).toBeLessThan(20);
  });
});

/** Which messages of a statement were answered when the connection ended. */
const phases = [
  ["sent", ""],
  ["started", "PBD"],
  ["completed", "PBDE"],
] as const;

describe.each(phases)("a connection that ends when its statement is %s", (phase, answered) => {
  const ending = (last: Buffer[] = []) =>
    firstOf(async (connection) => {
      connection.send(...reply(await asked(connection), answered), ...last);
      connection.close();
    });
  const terminated = [protocol.errorResponse({ severity: "FATAL", code: "57P01", message: "terminating connection" })];
  const exclusive = { ...quiet, max: 1 };

  test("fails a write, which may have run", async () => {
    await using server = await ending();
    await using pool = createPool({ primaryUrl: server.url, ...exclusive });
    expect(await rejection(pool.query(write, [1]))).toMatchObject({
      code: "POOL_CONNECTION_LOST",
      phase,
      retryable: false,
    });
    expect(server.accepted).toBe(1);
    expect(pool.stats()).toMatchObject({ retries: 0, protocolErrors: 0 });
  });

  test("repeats a read said to be idempotent", async () => {
    await using server = await ending();
    await using pool = createPool({ primaryUrl: server.url, ...exclusive });
    expect((await pool.query(read, [1], { idempotent: true })).rows).toEqual([{ v: "1" }]);
    expect(server.accepted).toBe(2);
    expect(pool.stats().retries).toBe(1);
  });

  test("tells the phase of each of those that share it", async () => {
    await using server = await firstOf(async (connection) => {
      const [first] = await twoOnOne(connection);
      connection.send(...reply(first, answered));
      connection.close();
    });
    await using pool = sharing(server.url, { retry: false });
    await warm(pool);
    const lost = await Promise.all(["a", "b"].map((value) => rejection(pool.query(read, [value]))));
    expect(lost).toMatchObject([
      { code: "POOL_CONNECTION_LOST", phase, retryable: false },
      { code: "POOL_CONNECTION_LOST", phase: "sent", retryable: false },
    ]);
  });

  test(`with the server's word that it ends it, ${phase === "completed" ? "fails" : "repeats"} a write`, async () => {
    await using server = await ending(terminated);
    await using pool = createPool({ primaryUrl: server.url, ...exclusive });
    const outcome = await pool.query(write, [1]).then(
      ({ rows }) => rows,
      (error: unknown) => error,
    );
    // Before CommandComplete it is undone; after it, the commit may have been made.
    if (phase === "completed") expect(outcome).toMatchObject({ code: "57P01" });
    else expect(outcome).toEqual([{ v: "1" }]);
    expect(pool.stats().retries).toBe(phase === "completed" ? 0 : 1);
  });
});

describe("a connection that ends before its statement is sent", () => {
  test("repeats a write: it never left", async () => {
    await using server = await firstOf(well);
    await using pool = createPool({ primaryUrl: server.url, ...quiet, max: 1 });
    pool.once("acquire", (client) => client.connection.stream.destroy());
    expect((await pool.query(write, [1])).rows).toEqual([{ v: "1" }]);
    expect(server.accepted).toBe(2);
    expect(pool.stats().retries).toBe(1);
  });

  test("says so", async () => {
    await using server = await firstOf(well);
    await using pool = createPool({ primaryUrl: server.url, ...quiet, max: 1, retry: false });
    pool.once("acquire", (client) => client.connection.stream.destroy());
    expect(await rejection(pool.query(write, [1]))).toMatchObject({
      code: "POOL_CONNECTION_LOST",
      phase: "unsent",
      retryable: true,
    });
  });

  test("in a transaction runs its callback again, unless told not to", async () => {
    const ends = () =>
      firstOf(async (connection) => {
        connection.send(...reply(await asked(connection)));
        connection.close();
      });
    for (const retries of [0, 5]) {
      await using server = await ends();
      await using pool = createPool({ primaryUrl: server.url, ...quiet, max: 1 });
      const lost = new Promise((resolve) => pool.on("connection-lost", resolve));
      const attempts: number[] = [];
      const done = pool.withTransaction(
        async (tx) => {
          attempts.push(tx.attempt);
          if (tx.attempt === 1) await lost;
          return (await tx.query(write, [1])).rows;
        },
        { retries },
      );
      if (retries > 0) expect(await done).toEqual([{ v: "1" }]);
      else expect(await rejection(done)).toMatchObject({ code: "POOL_CONNECTION_LOST", phase: "unsent" });
      expect(attempts).toEqual(retries > 0 ? [1, 2] : [1]);
    }
  });
});

const cancelled = protocol.errorResponse({ code: "57014", message: "canceling statement due to user request" });

test("a cancel that overtook its statement, and found nothing to cancel, is sent again", async () => {
  let cancels = 0;
  const second = Promise.withResolvers<void>();
  await using server = await startScriptedServer(async (connection) => {
    const startup = await connection.welcome();
    if (startup.kind === "cancel") {
      cancels += 1;
      if (cancels === 2) second.resolve();
      return;
    }
    const types = await asked(connection);
    await second.promise;
    connection.send(...reply(types, "PB"), cancelled, ...reply(types, "S"));
    await well(connection);
  });
  await using pool = createPool({ primaryUrl: server.url, ...quiet, max: 1, cancelTimeoutMs: 60_000 });
  const error = await rejection(pool.query(read, [1], { timeoutMs: 50 }));
  expect(error).toMatchObject({ code: "POOL_QUERY_TIMEOUT", cancelled: true });
  expect((await pool.query(read, [1])).rows).toEqual([{ v: "1" }]);
  expect(server.accepted).toBeGreaterThanOrEqual(3);
});

describe("a statement that reaches the bound of all, on a connection it shares", () => {
  const bounded = { retry: false, queryTimeoutMs: 300, cancelTimeoutMs: 2_000 } as const;

  /** Connections that want to cancel are told of; the first other one does as told, the rest are well. */
  async function cancellable(first: (connection: ScriptedConnection, asked: Promise<void>) => Promise<void>) {
    const cancel = Promise.withResolvers<void>();
    let connections = 0;
    return await startScriptedServer(async (connection) => {
      const startup = await connection.welcome();
      if (startup.kind === "cancel") {
        cancel.resolve();
        return;
      }
      connections += 1;
      await (connections === 1 ? first(connection, cancel.promise) : well(connection));
    });
  }

  test("may end by itself while its cancel hits the one behind it, which is run again", async () => {
    await using server = await cancellable(async (connection, cancel) => {
      const [first] = await twoOnOne(connection);
      await cancel;
      connection.send(...reply(first), ...reply("PB"), cancelled, ...reply("S"));
      await well(connection);
    });
    await using pool = sharing(server.url, bounded);
    await warm(pool);
    const both = await Promise.all(["a", "b"].map((value) => pool.query(read, [value])));
    expect(both.map(({ rows }) => rows)).toEqual([[{ v: "1" }], [{ v: "1" }]]);
    expect(pool.stats()).toMatchObject({ queryTimeouts: 1, retries: 0 });
    expect(pool.stats().servers[0]).toMatchObject({ connectionsClosed: 0 });
  });

  test("costs the connection when the server confirms no cancel", async () => {
    await using server = await cancellable(async (connection) => {
      await twoOnOne(connection);
      await asked(connection);
    });
    await using pool = sharing(server.url, { ...bounded, cancelTimeoutMs: 200 });
    await warm(pool);
    const [first, second] = await Promise.all(["a", "b"].map((value) => rejection(pool.query(read, [value]))));
    expect(first).toMatchObject({ code: "POOL_QUERY_TIMEOUT", timeoutMs: 300, cancelled: false });
    expect(second).toMatchObject({ code: "POOL_CONNECTION_LOST", phase: "sent" });
    expect((await pool.query(read, ["c"])).rows).toEqual([{ v: "1" }]);
  });

  test("is not blamed for a cancel of somebody else's", async () => {
    await using server = await firstOf(async (connection) => {
      const [first, second] = await twoOnOne(connection);
      connection.send(...reply(first, "PB"), cancelled, ...reply(first, "S"), ...reply(second));
      await well(connection);
    });
    await using pool = sharing(server.url, { ...bounded, queryTimeoutMs: 60_000 });
    await warm(pool);
    const [first, second] = await Promise.all([rejection(pool.query(read, ["a"])), pool.query(read, ["b"])]);
    expect(first).toMatchObject({ code: "57014" });
    expect(second.rows).toEqual([{ v: "1" }]);
  });
});
