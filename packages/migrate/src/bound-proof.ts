import type { PartitionBoundSpec } from "libpg-query";
import { coversNotNull } from "./not-null-proof.ts";
import { walk } from "./volatility.ts";
import type { WorkingTable } from "./working-catalog.ts";

/**
 * Whether the server sees by the CHECKs of a table that every row fits a partition's bound: the key is not NULL and one
 * validated CHECK speaks of the key and of every value of the bound. Told from the values alone, so that a CHECK with
 * the same values and other comparisons is taken for a proof.
 */
export function boundIsProved(
  parent: WorkingTable | undefined,
  child: WorkingTable | undefined,
  bound: PartitionBoundSpec | undefined,
): boolean {
  const list = parent?.properties.map((one) => /^partition by \w*\s*\((.*)\)$/.exec(one)?.[1]).find(Boolean);
  const keys = list?.split(",").map((key) => key.trim().replace(/^"|"$/g, "")) ?? [];
  if (!child || keys.length === 0 || keys.some((key) => !coversNotNull(child, key))) return false;
  const values: string[] = [];
  walk(bound, (name, fields) => {
    if (name !== "A_Const") return;
    const { sval, ival, fval } = fields as {
      sval?: { sval?: string };
      ival?: { ival?: number };
      fval?: { fval?: string };
    };
    values.push(sval?.sval ?? fval?.fval ?? String(ival?.ival ?? 0));
  });
  if (values.length === 0) return false;
  return child.constraints.some(
    ({ type, validated, columns, definition }) =>
      type === "check" &&
      validated &&
      keys.every((key) => columns.includes(key)) &&
      values.every((value) => definition.includes(value)),
  );
}
