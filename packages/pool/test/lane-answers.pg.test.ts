import { createPool, type Pool } from "@db/pool";
import { startCluster, type TestCluster } from "@db/testkit";
import { Client, DatabaseError, Pool as PgPool, type QueryConfig, type QueryResult, types as pgTypes } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let cluster: TestCluster;
let pool: Pool;
let plain: PgPool;
beforeAll(async () => {
  cluster = await startCluster({ version: 18, settings: { max_connections: 60 } });
  const { url } = await cluster.createDatabase();
  pool = createPool({ primaryUrl: url, probeIntervalMs: false });
  plain = new PgPool({ connectionString: url, max: 2 });
  await plain.query("create type mood as enum ('sad', 'glad')");
  await plain.query(`create function warned(n int) returns int language plpgsql as
    'begin raise warning ''beware of %'', n; return n; end'`);
});
afterAll(async () => {
  await plain.end();
  await pool.end();
  await cluster.stop();
});

/** What a result is, class and every field of it included. */
function whole(result: QueryResult): object {
  return {
    ...result,
    kind: result.constructor.name,
    keys: Object.keys(result),
    fields: result.fields.map((f) => ({ ...f })),
  };
}

/** Everything an error of the server says. */
async function failureOf(failing: Promise<unknown>): Promise<object> {
  const error = await failing.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof DatabaseError)) throw new Error("not an error of the server", { cause: error });
  return Object.assign({}, error, { message: error.message });
}

const statements: readonly (readonly [string, unknown[]])[] = [
  ["select $1::int as a, $2::text as b, $3::bool as c", [7, "seven", true]],
  ["select 1.5::numeric, 2::bigint, 3.25::float8, 'NaN'::float8, -0.5::real", []],
  ["select null, null::int[], $1::text", [null]],
  [
    "select $1::int[], $2::text[], '{{1,2},{3,null}}'::int[]",
    [
      [1, null, 3],
      ['a "quoted"', "", null],
    ],
  ],
  ["select $1::jsonb as j, $2::json as k, 'null'::jsonb as n", [{ a: [1, { b: null }] }, ["x"].length]],
  [
    "select $1::timestamptz, $2::date, '2020-02-29 12:00'::timestamp, '1 day 2 h'::interval",
    [new Date(0), "2021-01-01"],
  ],
  ["select $1::bytea, ''::bytea", [Buffer.from([0, 255, 7])]],
  ["select $1::bigint as big", [123_456_789_012_345_678n]],
  ["select 'glad'::mood, '{sad}'::mood[], '(1,2)'::point, '[1,5)'::int4range", []],
  ["select 1 as a, 2 as a, 3 as b", []],
  ['select 1 as "__proto__", 2 as "constructor", 3 as "1"', []],
  ["select", []],
  ["select from generate_series(1, 3)", []],
  ["select * from generate_series(1, 0) as none", []],
  ["select 'größe €', '日本語', '𝒳😀', repeat('é', 40), $1", ["ünï ✓"]],
  ["select n, repeat('x', n * 1000) as wide, n::text || 'é' as tail from generate_series(1, 120) n", []],
  ["select repeat('long ', 500000) as megabytes", []],
  ["values (1, 'one'), (2, null)", []],
  ["table pg_catalog.pg_am", []],
  ["select $1::text as undefined_is_null", [undefined]],
  ["select $1::text as buffer_view", [new Uint8Array([104, 105])]],
];

describe("an answer that comes through a shared connection", () => {
  test.each(statements)("is what pg answers: %s", async (text, values) => {
    const expected = whole(await plain.query(text, values));
    // Unseen, then prepared, then with its columns known.
    const answers = [await pool.query(text, values), await pool.query(text, values), await pool.query(text, values)];
    expect(answers.map(whole)).toEqual([expected, expected, expected]);
    const together = await Promise.all(Array.from({ length: 8 }, () => pool.query(text, values)));
    expect(together.map(whole)).toEqual(together.map(() => expected));
  });

  test.each(statements.slice(0, 12))("is the same as arrays: %s", async (text, values) => {
    const query = { text, values, rowMode: "array" as const };
    const expected = whole(await plain.query(query));
    expect(whole(await pool.query(query))).toEqual(expected);
    expect(whole(await pool.query(query))).toEqual(expected);
  });

  test("takes its parsers from the statement, the client, or pg, as they are when it comes", async () => {
    const text = "select 20::int8 as big, 'x'::text as t";
    const types = { getTypeParser: (oid: number) => (value: string) => `${oid}:${value}` } as never;
    await pool.query(text);
    expect((await pool.query({ text, types })).rows).toEqual([{ big: "20:20", t: "25:x" }]);
    const before = pgTypes.getTypeParser(pgTypes.builtins.INT8);
    try {
      pgTypes.setTypeParser(pgTypes.builtins.INT8, (value) => BigInt(value));
      expect((await pool.query(text)).rows).toEqual([{ big: 20n, t: "x" }]);
    } finally {
      pgTypes.setTypeParser(pgTypes.builtins.INT8, before as never);
    }
    expect((await pool.query(text)).rows).toEqual([{ big: "20", t: "x" }]);
  });

  test("fails alone when a parser throws, with what it threw", async () => {
    const text = "select $1::int as n";
    await pool.query(text, [0]);
    const types = {
      getTypeParser: () => (value: string) => {
        if (value === "2") throw new RangeError("no two");
        return Number(value);
      },
    } as never;
    const outcomes = await Promise.allSettled([1, 2, 3].map((n) => pool.query({ text, values: [n], types })));
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect((outcomes[1] as PromiseRejectedResult).reason).toEqual(new RangeError("no two"));
  });

  test("that is an error says all that pg's says, and where it was asked for", async () => {
    const text = "select ($1::text)::int + 1";
    const expected = await failureOf(plain.query(text, ["abc"]));
    await pool.query(text, ["1"]);
    expect(await failureOf(pool.query(text, ["abc"]))).toEqual({ ...expected, length: expect.any(Number) as number });
    async function askedHere(): Promise<unknown> {
      return await pool.query(text, ["abc"]);
    }
    await expect(askedHere()).rejects.toSatisfy((error: Error) => /askedHere/.test(error.stack ?? ""));
  });

  test("that is an error of its text leaves no trace: the same text works once it can", async () => {
    const text = "select n from later where n = $1";
    for (let use = 0; use < 3; use += 1) {
      const failing = await Promise.allSettled([1, 2, 3].map((n) => pool.query(text, [n])));
      expect(failing.map((outcome) => (outcome as { reason?: { code?: string } }).reason?.code)).toEqual(
        Array.from({ length: 3 }, () => "42P01"),
      );
    }
    await plain.query("create table later as select 1 as n");
    expect((await pool.query(text, [1])).rows).toEqual([{ n: 1 }]);
    expect(pool.stats().servers[0]!.connectionsClosed).toBe(0);
  });

  test("comes with the notices its client hears", async () => {
    const heard: unknown[] = [];
    await using own = createPool({ primaryUrl: pool.options.connectionString!, probeIntervalMs: false });
    own.on("connect", (client) => client.on("notice", ({ message }) => heard.push(message)));
    const text = "select warned($1)";
    await own.query(text, [1]);
    await Promise.all([2, 3].map((n) => own.query(text, [n])));
    expect(heard).toEqual(["beware of 1", "beware of 2", "beware of 3"]);
  });

  test("needs no named statement, and refuses a name that is another text's", async () => {
    await using own = createPool({
      primaryUrl: pool.options.connectionString!,
      probeIntervalMs: false,
      prepare: false,
      max: 2,
    });
    for (let use = 0; use < 3; use += 1)
      expect((await own.query("select $1::int as n", [use])).rows).toEqual([{ n: use }]);
    const named = (text: string): Promise<QueryResult> => own.query({ name: "mine", text, values: [] });
    for (const text of ["select 1 as n", "select 2 as n"]) await own.query(text);
    expect((await named("select 1 as n")).rows).toEqual([{ n: 1 }]);
    await expect(named("select 2 as n")).rejects.toThrow(
      "Prepared statements must be unique - 'mine' was used for a different statement",
    );
    expect((await named("select 1 as n")).rows).toEqual([{ n: 1 }]);
  });

  test("stays right when a listener has statements of its own on the client", async () => {
    await using own = createPool({ primaryUrl: pool.options.connectionString!, probeIntervalMs: false, max: 2 });
    let queries = 0;
    const count = (): void => void (queries += 1);
    // Its last ones are still waiting when the pool ends.
    own.on("acquire", (client) => void client.query("select 'listener'").then(count, () => undefined));
    for (let n = 0; n < 5; n += 1) expect((await own.query("select $1::int as n", [n])).rows).toEqual([{ n }]);
    expect(await Promise.all([1, 2, 3].map(async (n) => (await own.query("select $1::int as n", [n])).rows))).toEqual(
      [1, 2, 3].map((n) => [{ n }]),
    );
    expect(queries).toBeGreaterThan(0);
  });

  test("is left to pg where somebody watches pg's client", async () => {
    // oxlint-disable-next-line typescript/unbound-method
    const original = Client.prototype.query;
    const seen: unknown[] = [];
    // As the wrapper of OpenTelemetry's instrumentation does.
    const wrapped = function (this: Client, ...given: unknown[]): unknown {
      seen.push(typeof given[0] === "string" ? given[0] : (given[0] as QueryConfig).text);
      return Reflect.apply(original, this, given);
    };
    Client.prototype.query = Object.assign(wrapped, { __original: original }) as never;
    try {
      await using own = createPool({ primaryUrl: pool.options.connectionString!, probeIntervalMs: false });
      for (let use = 0; use < 3; use += 1) await own.query("select 1 as n");
      expect(seen).toEqual(["select 1 as n", "select 1 as n", "select 1 as n"]);
    } finally {
      Client.prototype.query = original;
    }
  });
});
