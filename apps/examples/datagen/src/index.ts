export { dateText, dayOf, instantText, monthOf, weekdayOf, yearOf } from "./calendar.ts";
export { copyRow, type CopyValue } from "./copy-row.ts";
export type { Dataset, GeneratedTable } from "./dataset.ts";
export { DatasetConflictError, InvalidDatasetOptionError } from "./errors.ts";
export { loadDataset, type LoadReport } from "./load.ts";
export { type DatasetOptions, datasetDefaults, type LoadOptions, resolveDatasetOptions } from "./options.ts";
export { createRandom, type Random, weighted } from "./random.ts";
export { spread } from "./spread.ts";
