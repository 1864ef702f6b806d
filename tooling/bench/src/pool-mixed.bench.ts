import { type Account, type AccountArena, askedAccount, isAccount, openAccounts } from "./account-table.ts";
import type { Benchmark, Contender } from "./benchmark.ts";
import { type CallTally, checkTally, makeCalls } from "./callers.ts";
import { factRatios, throughputFigures } from "./figures.ts";

const text = "select id, name, score from account where id = $1";
const name = "account-by-id";
const slowText = "select doze($1) as id";
const slowName = "doze";

// No word of the slow statement tells that it is slow.
const dozeSql = /* sql */ `
  create function doze(id int) returns int language plpgsql as 'begin perform pg_sleep(0.05); return id; end'`;

/** One statement in a hundred takes 50 ms: what it does to the others. */
export const poolMixed: Benchmark<AccountArena, CallTally> = {
  name: "pool-mixed",
  title: "1 % of statements sleep 50 ms, the others read a row, 64 callers",
  cases: [
    { name: "max10", title: "10 connections" },
    { name: "max40", title: "40 connections" },
  ],
  setup: openBoth,
  contenders: [
    contender("db_pool", "@db/pool", ({ dbPool }, id, slow) =>
      slow ? dbPool.query(slowText, [id]) : dbPool.query<Account>(text, [id]),
    ),
    contender("pg_named", "pg", ({ pgNamed }, id, slow) =>
      pgNamed.query(slow ? { name: slowName, text: slowText, values: [id] } : { name, text, values: [id] }),
    ),
    contender("postgres_js", "postgres", async ({ postgresJs }, id, slow) => ({
      rows: slow
        ? await postgresJs`select doze(${id}) as id`
        : await postgresJs`select id, name, score from account where id = ${id}`,
    })),
  ],
  check: (_arena, _run, outcome) => checkTally(outcome),
  figures: (measurements) => ({
    ...throughputFigures(measurements, "db_pool"),
    ...factRatios(measurements, "db_pool", "p99_us"),
  }),
};

interface MixedArena extends AccountArena {
  readonly max40: AccountArena;
}

async function openBoth(): Promise<MixedArena> {
  await using stack = new AsyncDisposableStack();
  const max10 = stack.use(await openAccounts({ sql: dozeSql }));
  const max40 = stack.use(await openAccounts({ sql: dozeSql, connections: 40 }));
  const kept = stack.move();
  return { ...max10, max40, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

type Ask = (arena: AccountArena, id: number, slow: boolean) => Promise<{ readonly rows: readonly unknown[] }>;

function contender(called: string, from: string, ask: Ask): Contender<AccountArena, CallTally> {
  return {
    name: called,
    package: from,
    prepare: (arena, { case: inCase, quick, seed }) => {
      const used = inCase === "max40" ? (arena as MixedArena).max40 : arena;
      const isSlow = (number: number): boolean => number % 100 === 50;
      const load = { callers: 64, calls: quick ? 8_000 : 20_000, timed: (number: number) => !isSlow(number) };
      return () =>
        makeCalls(load, async (number) => {
          const id = askedAccount(number, seed);
          const slow = isSlow(number);
          const { rows } = await ask(used, id, slow);
          const row = rows[0] as Account | undefined;
          return rows.length === 1 && (slow ? row?.id === id : isAccount(row, id));
        });
    },
  };
}
