import { noProgress, type OnProgress, quoteQualified } from "@db/core";
import { applyIndexPack, measureQuery } from "@db/indexer";
import { applyMigrations, planMigrations } from "@db/migrate";
import type { Application, SeedReport } from "@db/orchestrator";
import { runValidation, type ValidationReport } from "@db/validate";
import { Pool } from "pg";

/** Where an example runs, and how much of it. */
export interface RunExampleOptions {
  /** A database for this example alone, as a `postgres://` URL. Tables and indexes are made there. */
  readonly url: string;
  /** Factor on the default row counts. Default 1. */
  readonly scale?: number;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** One demonstration query without and with the index pack. */
export interface QueryComparison {
  readonly name: string;
  /** Median milliseconds in the server; null when the indexes were there already. */
  readonly beforeMs: number | null;
  readonly afterMs: number;
  /** Names of the indexes its plan uses in the end. */
  readonly indexes: readonly string[];
  /** Planner's cost, for a judgement that no busy machine disturbs. */
  readonly beforeCost: number | null;
  readonly afterCost: number;
}

/** What running an example came to. Plain data. */
export interface ExampleReport {
  readonly application: string;
  /** Ids of the migrations applied now; none when all were applied before. */
  readonly migrations: readonly string[];
  readonly seed: SeedReport | null;
  readonly validation: ValidationReport;
  /** Names of the indexes made now. */
  readonly indexes: readonly string[];
  readonly queries: readonly QueryComparison[];
}

/**
 * Runs an example from an empty database to a measured one: migrates, loads, validates, makes the pack's indexes and
 * measures the demonstration queries before and after. Called again it does only what is missing.
 */
export async function runExample(application: Application, options: RunExampleOptions): Promise<ExampleReport> {
  const { url, scale, onProgress = noProgress, signal } = options;
  const abortable = signal ? { signal } : {};
  const db = new Pool({ connectionString: url, max: 2, connectionTimeoutMillis: 10_000 });
  // An idle connection that is lost shows at its next use.
  db.on("error", () => undefined);
  try {
    const plan = await planMigrations(db, { directory: application.migrationsDirectory });
    const migrated = await applyMigrations(db, plan, { onProgress, ...abortable });
    const seed = await application.seed?.({ url, onProgress, ...abortable, ...(scale === undefined ? {} : { scale }) });
    const validation = await runValidation(db, application.validationRules, { onProgress, ...abortable });
    const before = await measure(db, application);
    const applied = await applyIndexPack(db, application.indexPack, { onProgress, ...abortable });
    const made = applied.filter((result) => result.outcome === "created").map((result) => result.index);
    // An index on an expression is judged by statistics of its own, and a page known to be all visible is not read.
    if (made.length > 0) for (const table of tablesOf(application)) await db.query(`vacuum (analyze) ${table}`);
    const after = made.length > 0 ? await measure(db, application) : before;
    return {
      application: application.name,
      migrations: migrated.applied.map((run) => run.id),
      seed: seed ?? null,
      validation,
      indexes: made,
      queries: application.demonstrationQueries.map(({ name }, i) => ({
        name,
        beforeMs: made.length > 0 ? before[i]!.medianMs : null,
        afterMs: after[i]!.medianMs,
        indexes: after[i]!.plan.indexes,
        beforeCost: made.length > 0 ? before[i]!.plan.totalCost : null,
        afterCost: after[i]!.plan.totalCost,
      })),
    };
  } finally {
    await db.end();
  }
}

type Measurement = Awaited<ReturnType<typeof measureQuery>>;

async function measure(db: Pool, application: Application): Promise<Measurement[]> {
  const measured: Measurement[] = [];
  for (const query of application.demonstrationQueries) measured.push(await measureQuery(db, query));
  return measured;
}

function tablesOf(application: Application): Set<string> {
  return new Set(application.indexPack.indexes.map(({ schema = "public", table }) => quoteQualified(schema, table)));
}
