import { sqlStateOf } from "@db/core";
import { type AccountArena, askedAccount, openAccounts } from "./account-table.ts";
import type { Benchmark, Contender } from "./benchmark.ts";
import { type CallTally, checkTally, makeCalls } from "./callers.ts";
import { throughputFigures } from "./figures.ts";

const text = "insert into account (id, name, score) values ($1, 'again', 0)";

/** Statements that break a unique constraint: an error of the statement, not of its connection. */
export const poolErrors: Benchmark<AccountArena, CallTally> = {
  name: "pool-errors",
  title: "Inserts refused with 23505, 10 connections, 16 callers",
  setup: () => openAccounts(),
  contenders: [
    contender("db_pool", "@db/pool", ({ dbPool }, id) => dbPool.query(text, [id])),
    contender("pg", "pg", ({ pgUnnamed }, id) => pgUnnamed.query(text, [id])),
    contender(
      "postgres_js",
      "postgres",
      ({ postgresJs }, id) => postgresJs`insert into account (id, name, score) values (${id}, 'again', 0)`,
    ),
  ],
  check: (_arena, _run, outcome) => checkTally(outcome),
  figures: (measurements) => throughputFigures(measurements, "db_pool"),
};

type InsertAccount = (arena: AccountArena, id: number) => PromiseLike<unknown>;

function contender(name: string, from: string, insert: InsertAccount): Contender<AccountArena, CallTally> {
  return {
    name,
    package: from,
    prepare:
      (arena, { quick, seed }) =>
      () =>
        makeCalls({ callers: 16, calls: quick ? 800 : 3_000 }, async (number) => {
          const id = askedAccount(number, seed);
          try {
            await insert(arena, id);
            return false;
          } catch (error) {
            // The detail names the key: it is the refusal of this insert and of no other.
            return sqlStateOf(error) === "23505" && (error as { detail?: string }).detail?.includes(`(${id})`) === true;
          }
        }),
  };
}
