import { compareFindings, type DatabaseLike, toDatabase } from "@db/core";
import type { LockHolder } from "./advisory-lock.ts";
import { type ComparedMigration, compareHistory, type MigrationState } from "./comparison.ts";
import type { MigrationFinding } from "./finding.ts";
import { readMigrationFolder } from "./folder.ts";
import type { HistoryEntry } from "./history.ts";
import { type MigrationOptions, planDefaults, type PlanOptions } from "./options.ts";
import { bothOf, readInputs } from "./planning.ts";

/** One migration and where it stands. */
export interface MigrationStatusEntry {
  readonly id: string;
  readonly version: string;
  readonly name: string;
  readonly state: MigrationState;
  /** ISO 8601; null while not applied. */
  readonly appliedAt: string | null;
  readonly durationMs: number | null;
  readonly appliedBy: string | null;
  readonly source: HistoryEntry["source"] | null;
  /** What the server said, for a failed one. */
  readonly error: string | null;
  /** Statements done of those there are; both null while never begun. */
  readonly statementsDone: number | null;
  readonly statements: number | null;
  readonly hasDown: boolean;
}

/** Folder and database side by side, as plain JSON. */
export interface MigrationStatus {
  readonly server: { readonly version: number; readonly database: string };
  readonly history: { readonly schema: string; readonly table: string; readonly exists: boolean };
  /** Newest applied versioned migration. */
  readonly current: string | null;
  readonly applied: number;
  /** To be run by the next plan, failed and interrupted ones included. */
  readonly pending: number;
  readonly migrations: readonly MigrationStatusEntry[];
  /** Worst first. */
  readonly findings: readonly MigrationFinding[];
  /** A runner at work just now. */
  readonly runner: LockHolder | null;
}

/** Tells where every migration stands. Reads only, parses nothing. @throws as `planMigrations`, but for syntax */
export async function migrationStatus(
  db: DatabaseLike,
  options: Pick<PlanOptions, keyof MigrationOptions | "outOfOrder" | "changed" | "missing">,
): Promise<MigrationStatus> {
  // The files are read while the server answers; what is wrong with them is told first all the same.
  const reading = readMigrationFolder(options.directory, options.placeholders);
  const telling = toDatabase(db).withSession(async (session) => {
    const inputs = await readInputs(session, reading, options);
    const { folder, server, history } = inputs;
    const { migrations, findings } = compareHistory(folder, inputs.entries ?? [], inputs, {
      ...planDefaults,
      ...options,
    });
    const runner = await (await import("./advisory-lock.ts")).findLockHolder(session, history);
    const done = migrations.filter(({ state }) => state === "applied" || state === "changed" || state === "missing");
    const current = done.findLast(({ file, entry }) => (file ?? entry)?.kind === "versioned");
    return {
      server: { version: server.version, database: server.database },
      history: { schema: history.schema, table: history.table, exists: inputs.entries !== null },
      current: current?.id ?? null,
      applied: done.length,
      pending: migrations.length - done.length,
      migrations: migrations.map((one) => statusEntry(runner ? atWork(one) : one)),
      findings: (runner ? findings.map(beingRun) : findings).toSorted(compareFindings),
      runner,
    };
  });
  const [, told] = await bothOf(reading, telling);
  return told;
}

function atWork(one: ComparedMigration): ComparedMigration {
  return one.state === "interrupted" ? { ...one, state: "running" } : one;
}

/** What is not ended is no accident while somebody is at it. */
function beingRun(finding: MigrationFinding): MigrationFinding {
  if (finding.id !== "MIGRATE-INTERRUPTED") return finding;
  const title = finding.title.replace("was cut short after", "is being run just now:");
  return { ...finding, id: "MIGRATE-RUNNING", severity: "info", title: `${title} are done`, hint: "Wait for its end." };
}

function statusEntry({ id, state, file, entry, adopted }: ComparedMigration): MigrationStatusEntry {
  const isDone = state === "applied" || state === "changed" || state === "missing";
  const adoptedAt = adopted && adopted.when !== null ? new Date(adopted.when).toISOString() : null;
  return {
    id,
    version: (file ?? entry)?.version ?? "",
    name: (file ?? entry)?.name ?? id,
    state,
    appliedAt: isDone ? (entry?.finishedAt ?? adoptedAt) : null,
    durationMs: entry?.durationMs ?? null,
    appliedBy: entry?.appliedBy ?? null,
    source: entry?.source ?? adopted?.source ?? null,
    error: entry?.error ?? null,
    statementsDone: entry?.statementsDone ?? null,
    statements: entry?.statements ?? null,
    hasDown: (file?.down ?? entry?.downSql ?? null) !== null,
  };
}
