import { type Account, type AccountArena, askedAccount, isAccount, openAccounts } from "./account-table.ts";
import type { Benchmark, Contender, Job, Run } from "./benchmark.ts";
import { type CallTally, checkTally, makeCalls } from "./callers.ts";
import { throughputFigures } from "./figures.ts";

const text = "select id, name, score from account where id = $1";
const name = "account-by-id";

const loads: Readonly<Record<string, { callers: number; calls: number; quickCalls: number }>> = {
  c64: { callers: 64, calls: 20_000, quickCalls: 6_000 },
  c1: { callers: 1, calls: 4_000, quickCalls: 1_500 },
};

/** One row by primary key, the statement most applications run most. */
export const poolRow: Benchmark<AccountArena, CallTally> = {
  name: "pool-row",
  title: "One row by primary key, 10 connections, at 64 callers and at 1",
  cases: [
    { name: "c64", title: "64 callers" },
    { name: "c1", title: "1 caller" },
  ],
  setup: () => openAccounts(),
  contenders: [
    contender("db_pool", "@db/pool", ({ dbPool }, id) => dbPool.query<Account>(text, [id])),
    contender("db_pool_named", "@db/pool", ({ dbPoolNamed }, id) =>
      dbPoolNamed.query<Account>({ name, text, values: [id] }),
    ),
    contender("db_pool_bounded", "@db/pool", ({ dbPoolBounded }, id) => dbPoolBounded.query<Account>(text, [id])),
    contender("pg_named", "pg", ({ pgNamed }, id) => pgNamed.query<Account>({ name, text, values: [id] })),
    contender("pg_unnamed", "pg", ({ pgUnnamed }, id) => pgUnnamed.query<Account>(text, [id])),
    contender("postgres_js", "postgres", async ({ postgresJs }, id) => ({
      rows: await postgresJs<Account[]>`select id, name, score from account where id = ${id}`,
    })),
  ],
  check: (_arena, _run, outcome) => checkTally(outcome),
  figures: (measurements) => throughputFigures(measurements, "db_pool"),
};

type ReadAccount = (arena: AccountArena, id: number) => Promise<{ readonly rows: readonly Account[] }>;

function contender(name: string, from: string, read: ReadAccount): Contender<AccountArena, CallTally> {
  return { name, package: from, prepare: (arena, run) => job(arena, run, read) };
}

function job(arena: AccountArena, { case: inCase, quick, seed }: Run, read: ReadAccount): Job<CallTally> {
  const { callers, calls, quickCalls } = loads[inCase] as (typeof loads)[string];
  return () =>
    makeCalls({ callers, calls: quick ? quickCalls : calls }, async (number) => {
      const id = askedAccount(number, seed);
      const { rows } = await read(arena, id);
      return rows.length === 1 && isAccount(rows[0], id);
    });
}
