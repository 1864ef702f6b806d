import type { OnProgress } from "@db/core";
import { InvalidDatasetOptionError } from "./errors.ts";

/** What decides a dataset. */
export interface DatasetOptions {
  /** Which of the possible datasets: a whole number. Default 2024. */
  readonly seed?: number;
  /** How much of it, as a factor on the default row counts: above 0, at most 100. Default 1. */
  readonly scale?: number;
}

/** How a dataset is loaded. */
export interface LoadOptions {
  /** The database, as a `postgres://` URL. */
  readonly url: string;
  /** Replace a load of another size or rows of other origin. Default false: it is refused. */
  readonly replace?: boolean;
  readonly onProgress?: OnProgress;
  /** Stops the load and leaves the database as it was. */
  readonly signal?: AbortSignal;
}

export const datasetDefaults: Required<DatasetOptions> = Object.freeze({ seed: 2024, scale: 1 });

/** @throws {InvalidDatasetOptionError} */
export function resolveDatasetOptions(options: DatasetOptions = {}): Required<DatasetOptions> {
  const { seed = datasetDefaults.seed, scale = datasetDefaults.scale } = options;
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new InvalidDatasetOptionError(`invalid seed ${seed}`, { hint: "Give a whole number, 0 or more." });
  }
  if (!(scale > 0 && scale <= 100)) {
    throw new InvalidDatasetOptionError(`invalid scale ${scale}`, { hint: "Give a number above 0 and at most 100." });
  }
  return { seed, scale };
}
