import type { Catalog, CatalogColumn, CatalogTable, SqlType } from "./catalog.ts";

/** One object that two catalogs do not agree on. */
export interface CatalogDifference {
  /** What it is and its qualified name: `column app.users.email`. */
  readonly object: string;
  readonly change: "added" | "removed" | "changed";
  /** As it was; null when added. */
  readonly before: string | null;
  /** As it is; null when removed. */
  readonly after: string | null;
}

/** What turned one catalog into another, by object name; empty when their fingerprints are equal. Pure. */
export function diffCatalogs(before: Catalog, after: Catalog): CatalogDifference[] {
  const old = objectsOf(before);
  const now = objectsOf(after);
  const differences: CatalogDifference[] = [];
  for (const object of [...new Set([...old.keys(), ...now.keys()])].toSorted()) {
    const was = old.get(object) ?? null;
    const is = now.get(object) ?? null;
    if (was === is) continue;
    const change = was === null ? "added" : is === null ? "removed" : "changed";
    differences.push({ object, change, before: was, after: is });
  }
  return withoutEchoes(differences);
}

/** One line a difference: `+` added, `-` removed, `~` changed. */
export function formatCatalogDifferences(differences: readonly CatalogDifference[]): string {
  return differences
    .map(({ object, change, before, after }) => {
      if (change === "added") return `+ ${object}  ${after ?? ""}`.trimEnd();
      if (change === "removed") return `- ${object}  ${before ?? ""}`.trimEnd();
      return `~ ${object}  ${before ?? ""} → ${after ?? ""}`;
    })
    .join("\n");
}

function objectsOf(catalog: Catalog): Map<string, string> {
  const objects = new Map<string, string>();
  for (const table of catalog.tables) addTable(objects, table);
  for (const { schema, name, kind, base, constrained, labels } of catalog.types) {
    const parts = [kind, base ? typeText(base) : "", constrained ? "constrained" : "", labels.join(", ")];
    objects.set(`type ${schema}.${name}`, parts.filter(Boolean).join(" "));
  }
  const overloads = new Map<string, string[]>();
  for (const { schema, name, volatile, hash } of catalog.functions) {
    const key = `function ${schema}.${name}`;
    overloads.set(key, [...(overloads.get(key) ?? []), `${volatile ? "volatile" : "steady"} ${hash.slice(0, 12)}`]);
  }
  for (const [key, texts] of overloads) objects.set(key, texts.toSorted().join("; "));
  for (const name of catalog.sequences) objects.set(`sequence ${name}`, "");
  return objects;
}

function addTable(objects: Map<string, string>, table: CatalogTable): void {
  const name = `${table.schema}.${table.name}`;
  objects.set(`${table.kind} ${name}`, "");
  objects.set(`order of columns in ${name}`, table.columns.map((column) => column.name).join(", "));
  objects.set(`triggers, policies and definition of ${name}`, table.extra.slice(0, 12));
  for (const column of table.columns) objects.set(`column ${name}.${column.name}`, columnText(column));
  for (const { name: constraint, type, definition, validated } of table.constraints) {
    // A NOT NULL is told of with its column; only from version 18 on it is a constraint too.
    if (type !== "not-null") {
      objects.set(`constraint ${constraint} on ${name}`, `${definition}${validated ? "" : " (not validated)"}`);
    }
  }
  for (const { name: index, definition, valid } of table.indexes) {
    objects.set(`index ${index} on ${name}`, `${definition}${valid ? "" : " (invalid)"}`);
  }
}

function columnText({ type, notNull, default: value, generated, identity }: CatalogColumn): string {
  const facts = [
    typeText(type),
    notNull ? "not null" : "",
    generated ? `generated ${generated}` : "",
    identity ? "identity" : "",
    value === null ? "" : `default ${value}`,
  ];
  return facts.filter(Boolean).join(" ");
}

function typeText({ name, mods, array }: SqlType): string {
  return `${name}${mods.length > 0 ? `(${mods.join(",")})` : ""}${array ? "[]" : ""}`;
}

// A table's columns came or went with it, or one by one: their order says nothing new then.
function withoutEchoes(differences: readonly CatalogDifference[]): CatalogDifference[] {
  const moved = differences.filter(({ object, change }) => object.startsWith("column ") && change !== "changed");
  const isEcho = ({ object, change }: CatalogDifference): boolean => {
    if (object.startsWith("triggers, policies")) return change !== "changed";
    const table = /^order of columns in (.*)$/.exec(object)?.[1];
    if (table === undefined) return false;
    return change !== "changed" || moved.some((one) => one.object.startsWith(`column ${table}.`));
  };
  return differences.filter((one) => !isEcho(one));
}
