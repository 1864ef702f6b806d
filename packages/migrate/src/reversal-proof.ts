import { AbortedError, type DatabaseLike, isDbError, noProgress, type OnProgress, toDatabase } from "@db/core";
import { applyMigrations } from "./applying.ts";
import { type Catalog, collectCatalog } from "./catalog.ts";
import { type CatalogDifference, diffCatalogs } from "./catalog-diff.ts";
import { readMigrationFolder } from "./folder.ts";
import { type HistoryOptions, historyDefaults } from "./options.ts";
import { planMigrations } from "./planning.ts";
import { planRollback } from "./rollback.ts";

/** An empty database to try migrations in. */
export interface ShadowDatabase {
  readonly db: DatabaseLike;
  /** Disconnects and drops it. */
  drop(): Promise<void>;
}

export interface ReversalOptions extends HistoryOptions {
  readonly directory: string;
  /** Makes an empty database on a server of the version in use; called again after a migration that cannot go on. */
  readonly createDatabase: () => Promise<ShadowDatabase>;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/**
 * How undoing one migration went. `restored`: the catalog was as before, and as after when applied again. `reordered`:
 * so it was but for the order of columns, which a column dropped and added again cannot keep.
 */
export interface Reversal {
  readonly migration: string;
  readonly file: string;
  readonly outcome:
    | "restored"
    | "reordered"
    | "no-down"
    | "down-failed"
    | "down-differs"
    | "up-again-failed"
    | "up-again-differs";
  /** What the server said, where something failed. */
  readonly message: string | null;
  /** What was not as it should have been. */
  readonly differences: readonly CatalogDifference[];
}

/** The proof as plain JSON. */
export interface ReversalReport {
  readonly migrations: readonly Reversal[];
  /** Of those that have a down, how many do what they say. */
  readonly restored: number;
  /** Of those restored, in how many only the order of columns is another. */
  readonly reordered: number;
  readonly broken: number;
  readonly withoutDown: number;
}

/**
 * Runs every migration of a folder up, down and up again in a shadow database, and holds the catalogs against each
 * other: the down must leave what was there before, and the second up what the first one left. Rows are not compared.
 * @throws {MigrationFailedError} when a migration does not even run up; otherwise as `planMigrations`
 */
export async function proveReversals(options: ReversalOptions): Promise<ReversalReport> {
  const { directory, createDatabase, signal, onProgress = noProgress } = options;
  const { migrations } = await readMigrationFolder(directory);
  const due = migrations.filter((file) => file.kind === "versioned");
  const results: Reversal[] = [];
  let shadow = await createDatabase();
  try {
    for (const [index, { id, file, down }] of due.entries()) {
      if (signal?.aborted) throw new AbortedError("the proof was aborted", { cause: signal.reason });
      onProgress({ phase: "prove", current: index, total: due.length, unit: "steps", message: id });
      const trial = new Trial(shadow.db, id, options);
      const before = await trial.catalog();
      await trial.up();
      const result = down ? await trial.reverse(before) : { outcome: "no-down" as const };
      results.push({ migration: id, file, message: null, differences: [], ...result });
      if (result.outcome === "up-again-failed") {
        await shadow.drop();
        shadow = await createDatabase();
        await new Trial(shadow.db, id, options).up();
      }
    }
  } finally {
    await shadow.drop();
  }
  const withoutDown = results.filter(({ outcome }) => outcome === "no-down").length;
  const restored = results.filter(({ outcome }) => outcome === "restored" || outcome === "reordered").length;
  const reordered = results.filter(({ outcome }) => outcome === "reordered").length;
  return { migrations: results, restored, reordered, withoutDown, broken: results.length - restored - withoutDown };
}

type Result = Pick<Reversal, "outcome"> & Partial<Reversal>;

class Trial {
  readonly #db: DatabaseLike;
  readonly #id: string;
  readonly #options: ReversalOptions;

  constructor(db: DatabaseLike, id: string, options: ReversalOptions) {
    this.#db = db;
    this.#id = id;
    this.#options = options;
  }

  catalog(): Promise<Catalog> {
    const schema = this.#options.schema ?? historyDefaults.schema;
    return toDatabase(this.#db).withSession((session) => collectCatalog(session, schema));
  }

  async up(): Promise<void> {
    // Nobody else is in a shadow database: what would disturb others there is no matter.
    const plan = await planMigrations(this.#db, { ...this.#folder(), to: this.#id, lintBlocks: "never" });
    await applyMigrations(this.#db, plan, this.#applying());
  }

  async reverse(before: Catalog): Promise<Result> {
    const after = await this.catalog();
    try {
      const plan = await planRollback(this.#db, { ...this.#folder(), allowDataLoss: true });
      await applyMigrations(this.#db, plan, this.#applying());
    } catch (error) {
      return { outcome: "down-failed", message: messageOf(error) };
    }
    const left = diffCatalogs(before, await this.catalog());
    try {
      await this.up();
    } catch (error) {
      return { outcome: "up-again-failed", message: messageOf(error), differences: left };
    }
    if (left.length > 0) return { outcome: isOrderOnly(left) ? "reordered" : "down-differs", differences: left };
    const again = diffCatalogs(after, await this.catalog());
    return again.length > 0 ? { outcome: "up-again-differs", differences: again } : { outcome: "restored" };
  }

  #folder(): { directory: string } & HistoryOptions {
    const { directory, schema = historyDefaults.schema, table = historyDefaults.table } = this.#options;
    return { directory, schema, table };
  }

  #applying(): { allowBlocked: true; checkFiles: false; checkCatalog: false; signal?: AbortSignal } {
    const { signal } = this.#options;
    return { allowBlocked: true, checkFiles: false, checkCatalog: false, ...(signal ? { signal } : {}) };
  }
}

/** A view of all columns of a table is printed in their order. */
function isOrderOnly(differences: readonly CatalogDifference[]): boolean {
  const changed = new Set(differences.filter(({ change }) => change === "changed").map(({ object }) => object));
  return differences.every(({ object, change }) => {
    if (change !== "changed") return false;
    if (object.startsWith("order of columns in ")) return true;
    return object.startsWith("definition of ") && changed.has(object.replace("definition of ", "order of columns in "));
  });
}

// Only what the database or this package says is a result of the proof.
function messageOf(error: unknown): string {
  if (isDbError(error) && error.code !== "CORE_ABORTED") return error.message;
  throw error;
}
