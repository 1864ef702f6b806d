import { quoteIdentifier, type Queryable } from "@db/core";
import type { CatalogTable } from "./catalog.ts";
import type { attempt } from "./session.ts";
import type { Candidate } from "./suggest.ts";
import { tableLabel, tableSql } from "./table-name.ts";

const sampleRows = 2_000;

/** Share of the sampled rows that may differ from their group's usual value. */
const tolerance = 0.05;

/**
 * Pairs of columns where one value of the first nearly always comes with one value of the second, in a sample of
 * rows. Both must repeat: a key determines everything, and a constant is determined by anything.
 */
export async function dependencyCandidates(
  tx: Queryable,
  table: CatalogTable,
  run: typeof attempt,
): Promise<readonly Candidate[]> {
  const columns = table.columns.filter((column) => column.category === "S" || column.category === "N").slice(0, 40);
  const list = columns.map((column, index) => `left(${quoteIdentifier(column.name)}::text, 200) as c${index}`);
  if (columns.length < 2) return [];
  const answer = await run<Record<string, string | null>>(
    tx,
    `select ${list.join(", ")} from ${tableSql(table)} limit $1::bigint`,
    [sampleRows],
  );
  if ("error" in answer || answer.rows.length < 50) return [];
  const cells = columns.map((_, index) => answer.rows.map((row) => row[`c${index}`] ?? null));
  const distinct = cells.map((values) => new Set(values).size);
  const repeats = (index: number): boolean => distinct[index]! > 2 && distinct[index]! <= answer.rows.length / 2;
  const candidates: Candidate[] = [];
  for (const [from, determinant] of columns.entries()) {
    for (const [to, column] of columns.entries()) {
      if (from === to || !repeats(from) || !repeats(to) || !determines(cells[from]!, cells[to]!)) continue;
      candidates.push({
        rule: {
          kind: "functional-dependency",
          table: tableLabel(table),
          determinant: [determinant.name],
          column: column.name,
        },
        confidence: "medium",
        why: `one ${determinant.name} nearly always comes with one ${column.name}`,
      });
    }
  }
  return candidates;
}

function determines(from: readonly (string | null)[], to: readonly (string | null)[]): boolean {
  const groups = new Map<string, Map<string, number>>();
  const overall = new Map<string, number>();
  let rows = 0;
  for (const [index, key] of from.entries()) {
    const value = to[index];
    if (key === null || value == null) continue;
    const group = groups.get(key) ?? new Map<string, number>();
    groups.set(key, group);
    group.set(value, (group.get(value) ?? 0) + 1);
    overall.set(value, (overall.get(value) ?? 0) + 1);
    rows += 1;
  }
  let unusual = 0;
  let repeated = 0;
  let singles = 0;
  for (const group of groups.values()) {
    const [usual = 0, ...others] = [...group.values()].sort((a, b) => b - a);
    unusual += others.reduce((sum, count) => sum + count, 0);
    // A slip is rare; a second value that comes again and again is a second truth.
    repeated += others.filter((count) => count > 2).reduce((sum, count) => sum + count, 0);
    if (usual === 1) singles += 1;
  }
  // Groups of one row prove nothing, and a value that nearly every row has follows from anything.
  const withoutGroups = rows - Math.max(0, ...overall.values());
  return (
    rows > 0 &&
    singles < rows / 4 &&
    unusual <= tolerance * rows &&
    unusual <= withoutGroups / 4 &&
    repeated <= unusual / 4
  );
}
