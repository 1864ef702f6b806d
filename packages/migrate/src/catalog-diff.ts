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
  for (const { schema, name, kind, base, labels, details } of catalog.types) {
    const parts = [kind, base ? typeText(base) : "", labels.join(", "), details.join(", ")];
    objects.set(`type ${schema}.${name}`, parts.filter(Boolean).join(" "));
  }
  for (const { schema, name, arguments: list, hash, privileges } of catalog.functions) {
    objects.set(`function ${schema}.${name}(${list})`, `body ${hash.slice(0, 12)}`);
    addPrivileges(objects, `function ${schema}.${name}(${list})`, privileges);
  }
  for (const { name, definition } of catalog.sequences) objects.set(`sequence ${name}`, definition);
  for (const name of catalog.schemas) objects.set(`schema ${name}`, "");
  for (const { name, definition } of catalog.extensions) objects.set(`extension ${name}`, definition);
  for (const { name, definition } of catalog.comments) objects.set(`comment on ${name}`, quoted(definition));
  return objects;
}

function addTable(objects: Map<string, string>, table: CatalogTable): void {
  const name = `${table.schema}.${table.name}`;
  objects.set(`${table.kind} ${name}`, "");
  objects.set(`order of columns in ${name}`, table.columns.map((column) => column.name).join(", "));
  if (table.definition !== null) objects.set(`definition of ${name}`, table.definition.replace(/\s+/g, " ").trim());
  for (const { name: trigger, definition } of table.triggers) objects.set(`trigger ${trigger} on ${name}`, definition);
  for (const { name: policy, definition } of table.policies) objects.set(`policy ${policy} on ${name}`, definition);
  for (const property of table.properties) objects.set(`property of ${name}: ${property}`, "");
  addPrivileges(objects, name, table.privileges);
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

function addPrivileges(objects: Map<string, string>, name: string, privileges: readonly string[]): void {
  for (const privilege of privileges) objects.set(`privilege on ${name}: ${privilege}`, "");
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''").replaceAll("\n", " ")}'`;
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
    if (object.startsWith("definition of ")) return change !== "changed";
    const table = /^order of columns in (.*)$/.exec(object)?.[1];
    if (table === undefined) return false;
    return change !== "changed" || moved.some((one) => one.object.startsWith(`column ${table}.`));
  };
  return differences.filter((one) => !isEcho(one));
}
