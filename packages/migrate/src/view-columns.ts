import type { ViewStmt } from "libpg-query";
import { stringsOf } from "./working-catalog.ts";

/** The columns of a view as its text names them; null where only the server could tell, as for `*`. */
export function viewColumns({ aliases, query }: ViewStmt): string[] | null {
  const given = stringsOf(aliases);
  if (given.length > 0) return given;
  if (!query || !("SelectStmt" in query)) return null;
  const targets = (query.SelectStmt.larg ?? query.SelectStmt).targetList ?? [];
  const names: string[] = [];
  for (const target of targets) {
    if (!("ResTarget" in target)) return null;
    const { name, val } = target.ResTarget;
    if (name !== undefined) {
      names.push(name);
      continue;
    }
    const last = val && "ColumnRef" in val ? val.ColumnRef.fields?.at(-1) : undefined;
    if (!last || !("String" in last)) return null;
    names.push(last.String.sval ?? "");
  }
  return names;
}
