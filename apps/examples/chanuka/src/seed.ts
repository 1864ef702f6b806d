import { loadDataset, type LoadOptions, type LoadReport } from "@db/example-datagen";
import { chanukaDataset } from "./data/dataset.ts";

/** What to load and where. */
export interface ChanukaSeedOptions extends LoadOptions {
  /** Factor on the default of 20,000 bills, 5,000 users and 500,000 engagement rows: above 0, at most 100. Default 1. */
  readonly scale?: number;
  /** Which of the possible datasets: a whole number. Default 2024. */
  readonly seed?: number;
}

/**
 * Loads Chanuka's data into a database that has its tables, in one transaction. Says so when it is there already.
 * @throws {DatasetConflictError} when the tables are missing or hold something else
 * @throws {InvalidDatasetOptionError}
 * @throws {AbortedError}
 */
export async function seedChanuka(options: ChanukaSeedOptions): Promise<LoadReport> {
  const { scale, seed, ...load } = options;
  const size = { ...(scale === undefined ? {} : { scale }), ...(seed === undefined ? {} : { seed }) };
  return loadDataset(chanukaDataset(size), load);
}
