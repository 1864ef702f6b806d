import type { Node } from "./parser.ts";
import { stringsOf, type WorkingCatalog } from "./working-catalog.ts";

// Volatile functions of pg_catalog that stand in defaults; the rest of pg_catalog there is stable or immutable.
const volatileBuiltins = new Set([
  "clock_timestamp",
  "timeofday",
  "random",
  "random_normal",
  "setseed",
  "gen_random_uuid",
  "uuidv4",
  "uuidv7",
  "nextval",
  "setval",
  "currval",
  "lastval",
  "pg_sleep",
  "set_config",
  "gen_random_bytes",
  "gen_salt",
  "uuid_generate_v1",
  "uuid_generate_v1mc",
  "uuid_generate_v4",
]);

/** The first function in an expression that gives a new value for every row, or null. */
export function volatileFunctionIn(expression: Node | undefined, catalog: WorkingCatalog): string | null {
  let found: string | null = null;
  walk(expression, (name, value) => {
    if (name !== "FuncCall" || found !== null) return;
    const names = stringsOf((value as { funcname?: Node[] }).funcname);
    const called = names.at(-1) ?? "";
    const schema = names.at(-2);
    const user = schema === "pg_catalog" ? undefined : catalog.function(schema, called);
    if (user ? user.volatile : volatileBuiltins.has(called)) found = called;
  });
  return found;
}

/** Visits every node below `tree` with its name and its fields. */
export function walk(tree: unknown, visit: (name: string, fields: unknown) => void): void {
  if (Array.isArray(tree)) {
    for (const item of tree) walk(item, visit);
  } else if (typeof tree === "object" && tree !== null) {
    // Plain objects of the parser: nothing inherited. Only the names of nodes begin with a capital.
    for (const key in tree) {
      const value: unknown = (tree as Record<string, unknown>)[key];
      if (typeof value !== "object" || value === null) continue;
      if (key.charCodeAt(0) < 97) visit(key, value);
      walk(value, visit);
    }
  }
}
