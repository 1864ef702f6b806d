import type { TableCondition } from "./resolve.ts";
import type { TableFacts } from "./snapshot.ts";

/**
 * Share of the rows that meet a condition, 0 to 1, for an average value: recorded statements have lost theirs.
 * The constants without statistics are PostgreSQL's own guesses.
 * @see https://github.com/postgres/postgres/blob/master/src/include/utils/selfuncs.h (DEFAULT_*_SEL)
 */
export function selectivityOf(condition: TableCondition, table: TableFacts): number {
  const { column, test } = condition;
  const nulls = column.nullFraction ?? 0;
  const present = 1 - nulls;
  const rows = Math.max(1, table.rows);
  // Functions such as lower() keep about as many values apart as their argument; of others nothing is known.
  const one = column.distinct === null ? 0.005 : present / Math.max(1, column.distinct);
  switch (test) {
    case "equal":
      return Math.max(one, 1 / rows);
    case "in":
      return Math.min(1, 3 * Math.max(one, 1 / rows));
    case "range":
      return 0.1;
    case "between":
      return 0.005;
    case "like":
    case "ilike":
    case "regex":
    case "text-search":
    case "contains":
    case "has-key":
      return 0.005;
    case "overlaps":
      return 0.01;
    case "is-null":
      return nulls;
    case "is-not-null":
      return present;
    case "is-true":
      return column.trueFraction ?? 0.5;
    default:
      return column.trueFraction === null ? 0.5 : Math.max(0, present - column.trueFraction);
  }
}

/** Cost of reading a whole table, in the planner's units (`seq_page_cost` 1, `cpu_tuple_cost` 0.01). */
export function sequentialCost(table: TableFacts): number {
  return table.pages + 0.0125 * table.rows;
}

/**
 * Cost of fetching `rows` rows of a table through an index, in the planner's units: a descent, then each page once,
 * at random while they are few and nearly in order when they are many, fewer pages where the order on disk follows
 * the index.
 * @see https://github.com/postgres/postgres/blob/master/src/backend/optimizer/path/costsize.c (cost_bitmap_heap_scan)
 */
export function indexCost(table: TableFacts, rows: number, correlation: number = 0): number {
  const total = Math.max(1, table.pages);
  const scattered = Math.min(total, (2 * total * rows) / (2 * total + rows));
  const together = Math.min(total, Math.ceil((rows * total) / Math.max(1, table.rows)));
  const share = correlation * correlation;
  const pages = share * together + (1 - share) * scattered;
  const perPage = 4 - 3 * Math.sqrt(pages / total);
  return 4 + 0.0025 * Math.log2(table.rows + 2) + pages * perPage + 0.0175 * rows;
}
