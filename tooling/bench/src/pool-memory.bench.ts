import { type Account, type AccountArena, askedAccount, isAccount, openAccounts } from "./account-table.ts";
import type { Benchmark } from "./benchmark.ts";
import { type CallTally, checkTally, makeCalls } from "./callers.ts";
import { factFigures } from "./figures.ts";
import { collectGarbage } from "./garbage.ts";

const text = "select id, name, score from account where id = $1";

/** What ten million queries leave behind, after each million and a collection. With `--rounds 1` a few minutes. */
export const poolMemory: Benchmark<AccountArena, CallTally> = {
  name: "pool-memory",
  title: "Memory in use after each tenth of 10,000,000 queries, 64 callers",
  setup: () => openAccounts(),
  contenders: [
    {
      name: "db_pool",
      package: "@db/pool",
      prepare:
        ({ dbPool }, { quick, round, seed }) =>
        async () => {
          const calls = round === 0 ? 10_000 : quick ? 100_000 : 1_000_000;
          const facts: Record<string, number> = {};
          const heaps: number[] = [];
          let right = 0;
          for (let tenth = 1; tenth <= 10; tenth += 1) {
            const { answer } = await makeCalls({ callers: 64, calls }, async (number) => {
              const id = askedAccount(number, seed);
              const { rows } = await dbPool.query<Account>(text, [id]);
              return rows.length === 1 && isAccount(rows[0], id);
            });
            right += answer.right;
            collectGarbage();
            const { heapUsed, rss } = process.memoryUsage();
            heaps.push(heapUsed / 1_024);
            facts[`heap_${tenth}_kb`] = Math.round(heapUsed / 1_024);
            facts[`rss_${tenth}_kb`] = Math.round(rss / 1_024);
          }
          const operations = 10 * calls;
          const [first = 0, last = 0] = [heaps[0], heaps.at(-1)];
          const bytesPerQuery = ((last - first) * 1_024) / (9 * calls);
          Object.assign(facts, { growth_kb: last - first, growth_bytes_per_query: bytesPerQuery });
          return { operations, answer: { right, wrong: operations - right }, facts };
        },
    },
  ],
  check: (_arena, _run, outcome) => checkTally(outcome),
  figures: (measurements) => factFigures(measurements),
};
