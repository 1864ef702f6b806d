import { expect, test } from "vitest";
import { type Account, type AccountArena, askedAccount, isAccount, openAccounts } from "../src/account-table.ts";
import type { Benchmark } from "../src/benchmark.ts";
import { type CallTally, checkTally, makeCalls } from "../src/callers.ts";
import { throughputFigures } from "../src/figures.ts";
import { runBenchmark } from "../src/measuring.ts";

const sql = "select id, name, score from account where id = $1";

/** A few calls of two pools on a real server; `shift` makes one of them read another row. */
function tinyBenchmark(shift: number): Benchmark<AccountArena, CallTally> {
  const contender = (name: string, read: (arena: AccountArena, id: number) => Promise<{ rows: Account[] }>) => ({
    name,
    package: name,
    prepare:
      (arena: AccountArena, { seed }: { readonly seed: number }) =>
      () =>
        makeCalls({ callers: 4, calls: 40 }, async (number) => {
          const id = askedAccount(number, seed);
          return isAccount((await read(arena, id)).rows[0], id);
        }),
  });
  return {
    name: "tiny",
    title: "Tiny",
    setup: () => openAccounts(),
    contenders: [
      contender("@db/pool", ({ dbPool }, id) => dbPool.query<Account>(sql, [id])),
      contender("pg", ({ pgUnnamed }, id) => pgUnnamed.query<Account>(sql, [id + shift])),
    ],
    check: (_arena, _run, outcome) => checkTally(outcome),
    figures: (measurements) => throughputFigures(measurements, "@db/pool"),
  };
}

test("a benchmark on a real server compares two pools, with versions and figures", async () => {
  const report = await runBenchmark(tinyBenchmark(0), { rounds: 2 });
  expect(report.measurements).toHaveLength(4);
  expect(report.machine.postgres).toMatch(/^\d+/);
  expect(report.contenders.map(({ version }) => version)).toEqual([
    expect.stringMatching(/^@db\/pool \d/),
    expect.stringMatching(/^pg 8\./),
  ]);
  expect(report.figures["vs_pg"]).toBeGreaterThan(0);
  expect(report.figures["@db/pool_p99_us"]).toBeGreaterThan(0);
});

test("a pool that answers with another caller's row is found out", async () => {
  await expect(runBenchmark(tinyBenchmark(1))).rejects.toThrow("wrong answer of pg in tiny: 40 of 40 calls");
});
