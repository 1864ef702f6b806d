import { type Config, loadConfig } from "@db/config";
import { configureLegacy } from "@db/legacy-compat";
import { databaseService, getDatabaseIntegration, getDatabaseOrchestrator } from "@db/legacy-compat/chanuka";
import { createOrchestrator, type Orchestrator } from "@db/orchestrator";
import type { Pool } from "@db/pool";
import { startCluster } from "@db/testkit";
import { type Account, askedAccount, fillAccounts, isAccount } from "./account-table.ts";
import type { Arena, Benchmark, Contender, Run } from "./benchmark.ts";
import { type CallTally, checkTally, makeCalls } from "./callers.ts";
import { throughputFigures } from "./figures.ts";

const text = "select id, name, score from account where id = $1";

interface LegacyArena extends Arena {
  readonly orchestrator: Orchestrator;
  /** The pool of the old names. */
  readonly legacyPool: Pool;
}

const calls = { full: 12_000, quick: 3_000 };
const callers = 16;

type Read = (arena: LegacyArena, id: number) => Promise<readonly Account[]>;

/** The same work by its old and its new name: what each case of the old calls, and what its README puts in its place. */
const ways: Readonly<Record<string, { readonly legacy: Read; readonly current: Read }>> = {
  query: {
    legacy: async (_, id) => (await getDatabaseIntegration().query<Account>(text, [id])).rows,
    current: async ({ orchestrator }, id) => (await orchestrator.pool.query<Account>(text, [id])).rows,
  },
  execute: {
    legacy: async ({ legacyPool }, id) => {
      const result = await databaseService.executeQuery(() => legacyPool.query<Account>(text, [id]), "account");
      if (result.success) return result.data.rows;
      throw result.error;
    },
    current: async ({ orchestrator }, id) => (await orchestrator.pool.query<Account>(text, [id])).rows,
  },
  transaction: {
    legacy: (_, id) =>
      getDatabaseIntegration().transaction(async (client) => (await client.query<Account>(text, [id])).rows),
    current: ({ orchestrator }, id) =>
      orchestrator.pool.withTransaction(async (tx) => (await tx.query<Account>(text, [id])).rows, { retries: 0 }),
  },
};

/** What the old names cost over the new ones, with the same configuration and a pool each. */
export const legacyOverhead: Benchmark<LegacyArena, CallTally> = {
  name: "legacy-overhead",
  title: `Old names against new ones, one row by primary key, ${callers} callers`,
  cases: [
    { name: "query", title: "getDatabaseIntegration().query against pool.query" },
    { name: "execute", title: "databaseService.executeQuery against pool.query" },
    { name: "transaction", title: "getDatabaseIntegration().transaction against pool.withTransaction" },
  ],
  setup: open,
  contenders: [contender("db_legacy", "@db/legacy-compat", "legacy"), contender("db_current", "@db/pool", "current")],
  check: (_arena, _run, outcome) => checkTally(outcome),
  figures: (measurements) => throughputFigures(measurements, "db_legacy"),
};

function contender(name: string, from: string, way: "legacy" | "current"): Contender<LegacyArena, CallTally> {
  return {
    name,
    package: from,
    prepare: (arena, { case: inCase, quick, seed }: Run) => {
      const read = ways[inCase]![way];
      return () =>
        makeCalls({ callers, calls: quick ? calls.quick : calls.full }, async (number) => {
          const id = askedAccount(number, seed);
          const rows = await read(arena, id);
          return rows.length === 1 && isAccount(rows[0], id);
        });
    },
  };
}

async function open(): Promise<LegacyArena> {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await startCluster());
  const postgres = await fillAccounts(cluster);
  const config: Config = (await loadConfig({ env: { DATABASE_URL: cluster.primary.url }, readFiles: false })).config;
  configureLegacy({ config });
  // The warnings of the first uses come before anything is measured.
  const legacyPool = getDatabaseOrchestrator().getConnectionManager().getPool();
  databaseService.initialize(legacyPool);
  const orchestrator = stack.use(createOrchestrator(config));
  stack.defer(() => getDatabaseIntegration().shutdown());
  const kept = stack.move();
  return { orchestrator, legacyPool, postgres, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
