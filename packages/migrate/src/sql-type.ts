import type { ColumnDef, Constraint, TypeName } from "libpg-query";
import type { CatalogColumn, SqlType } from "./catalog.ts";
import type { Node } from "./parser.ts";
import { stringsOf, type WorkingCatalog } from "./working-catalog.ts";

const serials: Readonly<Record<string, string>> = {
  serial: "int4",
  serial4: "int4",
  bigserial: "int8",
  serial8: "int8",
  smallserial: "int2",
  serial2: "int2",
};

/** Whether a column is declared `serial`, which is a default from a new sequence. */
export function isSerial(typeName: TypeName | undefined): boolean {
  const names = stringsOf(typeName?.names);
  return names.length === 1 && (names[0] ?? "") in serials;
}

/** A type as the parser has it, in the catalog's words. */
export function sqlTypeOf(typeName: TypeName | undefined, catalog: WorkingCatalog): SqlType {
  const names = stringsOf(typeName?.names);
  const name = names.at(-1) ?? "";
  const schema = names.at(-2);
  const user = schema === "pg_catalog" ? undefined : catalog.type(schema, name);
  const builtin = schema === undefined ? (serials[name] ?? name) : schema === "pg_catalog" ? name : `${schema}.${name}`;
  const mods = (typeName?.typmods ?? []).map(integerOf).filter((mod) => mod !== null);
  const fullInterval = 0x7fff;
  return {
    name: user ? `${user.schema}.${user.name}` : builtin,
    mods:
      name === "interval" && mods[0] === fullInterval
        ? mods.slice(1)
        : name === "numeric" && mods.length === 1
          ? [...mods, 0]
          : mods,
    array: (typeName?.arrayBounds ?? []).length > 0,
  };
}

/** The constraints of a column definition. */
export function columnConstraints(def: ColumnDef): Constraint[] {
  return (def.constraints ?? []).flatMap((node) => ("Constraint" in node ? [node.Constraint] : []));
}

/** The column a definition makes. */
export function columnOf(def: ColumnDef, catalog: WorkingCatalog): CatalogColumn {
  const constraints = columnConstraints(def);
  const has = (type: Constraint["contype"]): Constraint | undefined => constraints.find((one) => one.contype === type);
  const generated = has("CONSTR_GENERATED");
  const serial = isSerial(def.typeName);
  return {
    name: def.colname ?? "",
    type: sqlTypeOf(def.typeName, catalog),
    notNull: serial || [has("CONSTR_NOTNULL"), has("CONSTR_PRIMARY"), has("CONSTR_IDENTITY")].some(Boolean),
    default: serial || has("CONSTR_DEFAULT") ? "(set)" : null,
    generated: generated ? (generated.generated_kind === "v" ? "virtual" : "stored") : null,
    identity: has("CONSTR_IDENTITY") !== undefined,
  };
}

/** The value of an integer constant; null for anything else. */
export function integerOf(node: Node): number | null {
  if ("A_Const" in node && node.A_Const.ival) return node.A_Const.ival.ival ?? 0;
  return null;
}

// Types whose values another type reads as they are (pg_cast, castmethod 'b'), as far as ALTER TYPE meets them.
const coercible: Readonly<Record<string, readonly string[]>> = {
  varchar: ["text", "citext"],
  text: ["varchar", "citext"],
  citext: ["text", "varchar"],
  cidr: ["inet"],
  bit: ["varbit"],
  varbit: ["bit"],
  xml: ["text", "varchar"],
  int4: ["oid"],
  oid: ["int4"],
};
const utcNames = new Set(["utc", "etc/utc", "gmt", "etc/gmt", "uct", "etc/uct", "zulu", "etc/zulu", "universal", "0"]);
const timed = new Set(["timestamp", "timestamptz", "time", "timetz", "interval"]);
const maxTimePrecision = 6;

/**
 * Whether changing a column's type rewrites the table.
 * @see ATColumnChangeRequiresRewrite in src/backend/commands/tablecmds.c, and the planner support functions of
 * varchar, numeric, timestamp, interval and varbit that drop a length coercion which cannot fail
 */
export function typeChangeRewrites(from: SqlType, to: SqlType, catalog: WorkingCatalog): boolean {
  const domain = domainOf(to, catalog);
  if (domain && from.name === to.name && !from.array) return false;
  if (domain) return domain.constrained || domain.base === null || typeChangeRewrites(from, domain.base, catalog);
  const fromDomain = domainOf(from, catalog);
  if (fromDomain?.base) return typeChangeRewrites(fromDomain.base, to, catalog);
  if (from.array !== to.array) return true;
  const fromName = bareName(from.name);
  const toName = bareName(to.name);
  if (fromName === toName) {
    // No modifier asks for no length coercion at all.
    if (to.mods.length === 0 || sameMods(from.mods, to.mods)) return false;
    // The support functions work on the element type's own coercion, never through an array.
    return from.array || !lengthIsFree(toName, from.mods, to.mods);
  }
  // An array is converted element by element, whatever the elements are.
  if (from.array) return true;
  const pair = `${fromName}>${toName}`;
  // The conversion forgets the old precision, so that only the full one is sure to hold.
  if (pair === "timestamp>timestamptz" || pair === "timestamptz>timestamp") {
    return !utcNames.has(catalog.timeZone.toLowerCase()) || !timePrecisionIsFree([], to.mods);
  }
  if (!coercible[fromName]?.includes(toName)) return true;
  return to.mods.length > 0;
}

function lengthIsFree(name: string, from: readonly number[], to: readonly number[]): boolean {
  if (timed.has(name)) return timePrecisionIsFree(from, to);
  const [fromSize, fromScale] = from;
  const [toSize = 0, toScale] = to;
  if (fromSize === undefined) return false;
  if (name === "varchar" || name === "varbit") return toSize >= fromSize;
  if (name === "numeric") return toSize >= fromSize && (toScale ?? 0) === (fromScale ?? 0);
  return false;
}

function timePrecisionIsFree(from: readonly number[], to: readonly number[]): boolean {
  const toPrecision = to[0] ?? maxTimePrecision;
  return toPrecision >= (from[0] ?? maxTimePrecision);
}

function sameMods(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((mod, index) => mod === b[index]);
}

function domainOf(type: SqlType, catalog: WorkingCatalog): { constrained: boolean; base: SqlType | null } | null {
  const found = catalog.types.get(type.name);
  return found?.kind === "domain" && !type.array ? found : null;
}

/** The name without its schema: citext is the same wherever it is installed. */
function bareName(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1);
}
