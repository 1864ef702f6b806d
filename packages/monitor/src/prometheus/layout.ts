import type { MetricTable } from "../snapshot.ts";

/** A table of a snapshot, with the label of its server as it stands before its own. */
export interface Source {
  readonly prefix: string;
  readonly table: MetricTable;
}

/** The series of one metric: the columns that have them. */
interface LaidOutFamily {
  readonly metric: string;
  readonly members: readonly { readonly source: number; readonly column: number }[];
}

/** Families that follow each other and come from the same tables: while those stay, so does their text. */
export interface Run {
  readonly sources: readonly number[];
  readonly families: readonly LaidOutFamily[];
}

/** Groups columns by their metric, in the order in which metrics appear first; without those given otherwise. */
export function layOut(sources: readonly Source[], without: readonly string[]): readonly Run[] {
  const families = new Map<string, { source: number; column: number }[]>();
  for (const [source, { table }] of sources.entries()) {
    for (const [column, metric] of table.metrics.entries()) {
      const members = families.get(metric);
      if (members) members.push({ source, column });
      else families.set(metric, [{ source, column }]);
    }
  }
  for (const metric of without) families.delete(metric);
  const runs: { sources: readonly number[]; families: LaidOutFamily[] }[] = [];
  for (const [metric, members] of families) {
    const of = members.map(({ source }) => source);
    const last = runs.at(-1);
    if (last && isSame(last.sources, of)) last.families.push({ metric, members });
    else runs.push({ sources: of, families: [{ metric, members }] });
  }
  return runs;
}

/** True when tables have the same metrics and labels, so that what was laid out for the one fits the other. */
export function isLike(a: Source, b: Source): boolean {
  return (
    a.prefix === b.prefix &&
    (a.table === b.table ||
      (isSame(a.table.metrics, b.table.metrics) && isSame(a.table.labelNames, b.table.labelNames)))
  );
}

/** True when the rows of two tables alike have the same labels. */
export function hasSameLabels(a: MetricTable, b: MetricTable): boolean {
  if (a.rows.length !== b.rows.length) return false;
  for (let i = 0; i < a.rows.length; i++) if (!isSame(a.rows[i]!.labels, b.rows[i]!.labels)) return false;
  return true;
}

export function isSame<T>(a: readonly T[], b: readonly T[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
