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

/** Connections by case. With ten, 9 of 10 sleep at 18 000 statements a second, whoever lends them. */
const connections = { max10: 10, max20: 20, max40: 40 } as const;
/** What all connections together can sleep through: beyond it no pool gets, and at it no fast one has a connection left. */
const mostPerSecond = (count: number): number => (count / 0.05) * 100;

/** One statement in a hundred takes 50 ms: what it does to the others. */
export const poolMixed: Benchmark<AccountArena, CallTally> = {
  name: "pool-mixed",
  title: "1 % of statements sleep 50 ms, the others read a row, 64 callers",
  cases: Object.entries(connections).map(([name, count]) => ({ name, title: `${count} connections` })),
  setup: openAll,
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
    ...Object.fromEntries(
      Object.entries(connections).map(([name, count]) => [`${name}_most_per_second`, mostPerSecond(count)]),
    ),
  }),
};

type MixedArena = AccountArena & { readonly byCase: ReadonlyMap<string, AccountArena> };

async function openAll(): Promise<MixedArena> {
  await using stack = new AsyncDisposableStack();
  const byCase = new Map<string, AccountArena>();
  for (const [name, count] of Object.entries(connections)) {
    byCase.set(name, stack.use(await openAccounts({ sql: dozeSql, connections: count })));
  }
  const kept = stack.move();
  return { ...byCase.get("max10")!, byCase, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

type Ask = (arena: AccountArena, id: number, slow: boolean) => Promise<{ readonly rows: readonly unknown[] }>;

function contender(called: string, from: string, ask: Ask): Contender<AccountArena, CallTally> {
  return {
    name: called,
    package: from,
    prepare: (arena, { case: inCase, quick, seed }) => {
      const used = (arena as MixedArena).byCase.get(inCase)!;
      const isSlow = (number: number): boolean => number % 100 === 50;
      const load = { callers: 64, calls: quick ? 20_000 : 40_000, timed: (number: number) => !isSlow(number) };
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
