import type { OnProgress } from "@db/core";
import type { IndexPack } from "@db/indexer";
import type { ValidationRule } from "@db/validate";

/** A query worth watching, with why it is. */
export interface DemonstrationQuery {
  readonly name: string;
  readonly sql: string;
  readonly values: readonly unknown[];
  readonly why: string;
}

/** What loading the data did. */
export interface SeedReport {
  /** Rows by table, as they stand now. */
  readonly rows: Readonly<Record<string, number>>;
  readonly durationMs: number;
  /** True when the data was there already and nothing was written. */
  readonly skipped: boolean;
}

export interface SeedOptions {
  /** Connection string of the primary. */
  readonly url: string;
  /** Multiple of the default size, 0.01 to 100. */
  readonly scale?: number;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/**
 * A product on this toolkit, as data: where its migrations are, what holds for its data, which indexes it wants,
 * which queries matter. `defineApplication` checks the shape at compile time and gives it back.
 */
export interface Application {
  /** Lower case, also the name in messages. */
  readonly name: string;
  readonly title: string;
  /** Absolute path. */
  readonly migrationsDirectory: string;
  readonly validationRules: readonly ValidationRule[];
  readonly indexPack: IndexPack;
  /** Most telling first. */
  readonly demonstrationQueries: readonly DemonstrationQuery[];
  /** Loads example data. Safe to repeat: what is there already stays. */
  readonly seed?: (options: SeedOptions) => Promise<SeedReport>;
}

export function defineApplication(application: Application): Application {
  return application;
}
