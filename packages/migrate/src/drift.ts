import { type DatabaseLike, type Queryable, toDatabase } from "@db/core";
import { type Catalog, collectCatalog, fingerprintCatalog } from "./catalog.ts";
import { type CatalogDifference, diffCatalogs } from "./catalog-diff.ts";
import { DriftBaselineError } from "./errors.ts";
import type { MigrationFinding } from "./finding.ts";
import { History } from "./history.ts";
import { type HistoryOptions, historyDefaults } from "./options.ts";
import { readSnapshot } from "./snapshot.ts";

export interface DriftOptions extends HistoryOptions {
  /** What the catalog should be: a stored snapshot, or what `buildCatalog` made. Default: as the last run left it. */
  readonly expected?: Catalog;
  /** Compare with the snapshot of this migration instead of the newest. */
  readonly migration?: string;
  /** Objects that may differ, by qualified name; `*` stands for anything: `audit.*`, `public.tmp_*`, `extension pgcrypto`. */
  readonly ignore?: readonly string[];
}

/** What is no longer as the migrations left it, as plain JSON. */
export interface DriftReport {
  /** Where the expectation came from. */
  readonly expected: {
    readonly source: "snapshot" | "given";
    readonly migration: string | null;
    /** ISO 8601; null when given. */
    readonly takenAt: string | null;
    readonly fingerprint: string;
  };
  readonly fingerprint: string;
  readonly drifted: boolean;
  readonly differences: readonly CatalogDifference[];
  /** Differences let pass by `ignore`. */
  readonly ignored: number;
  readonly findings: readonly MigrationFinding[];
}

/**
 * Holds a database against the catalog its last run of migrations left. Two queries, reads only.
 * @throws {DriftBaselineError} when there is no snapshot and none was given
 * @throws {CatalogBusyError}
 */
export async function detectDrift(db: DatabaseLike, options: DriftOptions = {}): Promise<DriftReport> {
  return toDatabase(db).withSession(async (session) => {
    const expected = options.expected
      ? { source: "given" as const, migration: null, takenAt: null, catalog: options.expected }
      : await newestSnapshot(session, options);
    const catalog = await collectCatalog(session, options.schema ?? historyDefaults.schema);
    const all = diffCatalogs(expected.catalog, catalog);
    const ignored = (options.ignore ?? []).map(patternOf);
    const differences = all.filter(
      ({ object }) => !ignored.some((pattern) => namesOf(object).some((name) => pattern.test(name))),
    );
    return {
      expected: {
        source: expected.source,
        migration: expected.migration,
        takenAt: expected.takenAt,
        fingerprint: fingerprintCatalog(expected.catalog),
      },
      fingerprint: fingerprintCatalog(catalog),
      drifted: differences.length > 0,
      differences,
      ignored: all.length - differences.length,
      findings: differences.map(findingOf),
    };
  });
}

async function newestSnapshot(
  session: Queryable,
  options: DriftOptions,
): Promise<{ source: "snapshot"; migration: string | null; takenAt: string; catalog: Catalog }> {
  const snapshot = await readSnapshot(session, options);
  if (snapshot) return { source: "snapshot", ...snapshot };
  const entries = await new History(options).read(session);
  const about = options.migration === undefined ? "" : ` of ${options.migration}`;
  throw new DriftBaselineError(`there is no snapshot${about} to tell drift from`, {
    hint:
      entries === null
        ? "Take the database over first, with up, baseline or import."
        : "Give what to compare with, or run any migration: each run leaves a snapshot.",
  });
}

function findingOf({ object, change, before, after }: CatalogDifference): MigrationFinding {
  const verbs = { added: "was added", removed: "is gone", changed: "was changed" } as const;
  const detail = change === "changed" ? `: ${before} → ${after}` : "";
  return {
    id: "MIGRATE-DRIFT",
    // A check that passes over what was added by hand is none: what may differ is named in `ignore`.
    severity: "critical",
    title: `${object} ${verbs[change]} outside the migrations${detail}`,
    hint: "Put the change into a migration, or undo it by hand.",
    subject: object,
    migration: null,
    rule: null,
    file: null,
    line: null,
    column: null,
    blocks: false,
    safer: null,
  };
}

/**
 * The names that an ignored pattern may mean: the qualified ones in what a difference is called (`index t_i on public.t` is
 * about `public.t`), a schema with its contents, and the whole of it (`extension pgcrypto`).
 */
function namesOf(object: string): string[] {
  const schema = /^schema (\S+)$/.exec(object)?.[1];
  const qualified = object.split(/\s+/).filter((word) => word.includes("."));
  return [object, ...qualified, ...(schema === undefined ? [] : [schema, `${schema}.`])];
}

function patternOf(pattern: string): RegExp {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  // A pattern for a table covers its columns.
  return new RegExp(`^${parts.join(".*")}(\\..*|:)?$`);
}
