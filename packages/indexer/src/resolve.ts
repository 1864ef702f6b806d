import type { Condition, Operand } from "./condition.ts";
import type { QueryBlock } from "./query-shape.ts";
import { type ColumnFacts, findTableFacts, type IndexSnapshot, type TableFacts } from "./snapshot.ts";

/** A condition on one table of the catalog. */
export interface TableCondition {
  readonly test: Condition["test"];
  readonly column: ColumnFacts;
  /** SQL of the key when it is more than the column. */
  readonly expression: string | null;
  /** The table it is compared with, for a join. */
  readonly joins: TableFacts | null;
  readonly literal: string | null;
}

/** What one block asks of one table. */
export interface TableUse {
  readonly table: TableFacts;
  readonly conditions: readonly TableCondition[];
  readonly alternatives: readonly (readonly TableCondition[])[];
  /** Empty when the order is not this table's alone. */
  readonly order: readonly {
    readonly column: ColumnFacts;
    readonly descending: boolean;
    readonly nulls: "first" | "last" | null;
  }[];
  readonly limited: boolean;
}

/** Finds the tables and columns a block names; what it does not know (views, functions, outer rows) it leaves out. */
export function resolveBlock(block: QueryBlock, snapshot: IndexSnapshot): readonly TableUse[] {
  const places = block.relations.flatMap(({ alias, schema, table }) => {
    const facts = findTableFacts(snapshot, table, schema ?? undefined);
    return facts === undefined ? [] : [{ alias, facts }];
  });
  const find = ({
    qualifier,
    column,
  }: Operand): { place: (typeof places)[number]; column: ColumnFacts } | undefined => {
    const candidates = places.filter(({ alias }) => qualifier === null || alias === qualifier);
    const found = candidates.flatMap((place) => {
      const facts = place.facts.columns.find(({ name }) => name === column);
      return facts === undefined ? [] : [{ place, column: facts }];
    });
    return found.length === 1 ? found[0] : undefined;
  };
  const resolve = (condition: Condition): readonly { place: (typeof places)[number]; condition: TableCondition }[] => {
    const own = find(condition.operand);
    const other = condition.other === null ? undefined : find(condition.other);
    const { test, literal } = condition;
    const sides: { place: (typeof places)[number]; condition: TableCondition }[] = [];
    const joined = own !== undefined && other !== undefined && own.place !== other.place;
    // Two columns of one row compared: no index answers that.
    if (own !== undefined && other !== undefined && !joined) return [];
    if (own !== undefined) {
      const joins = joined ? other.place.facts : null;
      const expression = condition.operand.expression;
      sides.push({ place: own.place, condition: { test, column: own.column, expression, joins, literal } });
    }
    if (other !== undefined && (test === "equal" || own === undefined)) {
      const joins = joined ? own.place.facts : null;
      const expression = condition.other?.expression ?? null;
      sides.push({ place: other.place, condition: { test, column: other.column, expression, joins, literal: null } });
    }
    return sides;
  };
  const sides = block.conditions.flatMap(resolve);
  const arms = block.alternatives.map((alternative) => alternative.map((condition) => resolve(condition)[0]));
  const order = block.order.map((key) => ({
    key,
    found: key.operand.expression === null ? find(key.operand) : undefined,
  }));
  return places.map((place) => ({
    table: place.facts,
    conditions: sides.filter((side) => side.place === place).map((side) => side.condition),
    alternatives: arms.flatMap((arm) => {
      const known = arm.filter((side) => side?.place === place).map((side) => side!.condition);
      return known.length === arm.length ? [known] : [];
    }),
    order: order.every(({ found }) => found?.place === place)
      ? order.map(({ key, found }) => ({ column: found!.column, descending: key.descending, nulls: key.nulls }))
      : [],
    limited: block.limited,
  }));
}
