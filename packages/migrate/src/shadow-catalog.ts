import { toDatabase } from "@db/core";
import { applyMigrations } from "./applying.ts";
import { type Catalog, collectCatalog } from "./catalog.ts";
import { type HistoryOptions, historyDefaults } from "./options.ts";
import type { Placeholders } from "./placeholder.ts";
import { planMigrations } from "./planning.ts";
import type { ShadowDatabase } from "./reversal-proof.ts";

/** What the catalog is to be built from. */
export interface BuildCatalogOptions extends HistoryOptions {
  readonly directory: string;
  /** Values for `${name}` in the files. */
  readonly placeholders?: Placeholders;
  /** Last migration to run: id, file or version. Default: all. */
  readonly to?: string;
  /** Makes an empty database on a server of the version in use. */
  readonly createDatabase: () => Promise<ShadowDatabase>;
  readonly signal?: AbortSignal;
}

/**
 * Runs a folder in an empty database and returns the catalog it makes: what a database that runs these migrations
 * must look like.
 * @throws {MigrationFailedError} when a migration fails there; otherwise as `planMigrations`
 */
export async function buildCatalog(options: BuildCatalogOptions): Promise<Catalog> {
  const { directory, to, createDatabase, signal, placeholders } = options;
  const { schema = historyDefaults.schema, table = historyDefaults.table } = options;
  const shadow = await createDatabase();
  try {
    // Nobody else is in a shadow database: what would disturb others there is no matter.
    const limited = { ...(to === undefined ? {} : { to }), ...(placeholders ? { placeholders } : {}) };
    const planned = { directory, schema, table, lintBlocks: "never", ...limited } as const;
    const plan = await planMigrations(shadow.db, planned);
    const applying = { allowBlocked: true, checkFiles: false, checkCatalog: false } as const;
    await applyMigrations(shadow.db, plan, { ...applying, ...(signal ? { signal } : {}) });
    return await toDatabase(shadow.db).withSession((session) => collectCatalog(session, schema));
  } finally {
    await shadow.drop();
  }
}
