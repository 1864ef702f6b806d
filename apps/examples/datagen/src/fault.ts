import type { DatasetOptions } from "./options.ts";
import { createRandom } from "./random.ts";

/** A mistake put into the data on purpose, so that validation has something true to find. */
export interface Fault<Id extends string = string> {
  readonly id: Id;
  readonly table: string;
  /** Rows that have it at scale 1. */
  readonly rows: number;
  /** True when the number grows with the scale (rounded up); false where the table does not grow. */
  readonly grows: boolean;
  readonly what: string;
}

/** How many rows have a fault, at a scale. The same for every seed. */
export function countFaultRows<Id extends string>(faults: readonly Fault<Id>[], id: Id, scale: number): number {
  const { rows, grows } = faults.find((fault) => fault.id === id)!;
  return grows ? Math.ceil(rows * scale) : rows;
}

/** Which of `total` candidates have a fault: a set of positions from 0, the same for the same seed. */
export function pickFaultPositions<Id extends string>(
  faults: readonly Fault<Id>[],
  id: Id,
  { seed, scale }: Required<DatasetOptions>,
  total: number,
): ReadonlySet<number> {
  return new Set(createRandom(seed, `fault ${id}`).distinct(countFaultRows(faults, id, scale), total));
}
