import { quoteIdentifier, quoteLiteral } from "@db/core";
import { fieldsOf, listOf, namesOf, type Node } from "./syntax.ts";

/** An expression over columns of one table, ready to be a key: `lower("title")`. */
export interface ExpressionText {
  readonly sql: string;
  readonly qualifier: string | null;
  /** The first column in it. */
  readonly column: string;
}

interface Found {
  /** Fill in for constants a recorded statement has lost: a space between words, nothing in place of NULL. */
  readonly guess: boolean;
  column?: { readonly qualifier: string | null; readonly name: string };
}

// Only functions PostgreSQL marks immutable may stand in an index.
const immutable = new Set([
  "lower",
  "upper",
  "btrim",
  "ltrim",
  "rtrim",
  "length",
  "abs",
  "md5",
  "left",
  "right",
  "reverse",
]);

/**
 * Writes an expression back as SQL, its columns without their qualifier. Undefined for a bare column, for anything
 * with a parameter in it, and for what may not stand in an index.
 */
export function expressionText(node: unknown): ExpressionText | undefined {
  if (fieldsOf(node, "ColumnRef") !== undefined) return undefined;
  const found: Found = { guess: false };
  const sql = write(node, found);
  if (sql === undefined || found.column === undefined) return undefined;
  return { sql, qualifier: found.column.qualifier, column: found.column.name };
}

/**
 * The document of a full-text search, `to_tsvector(configuration, text)`, as a key. Recorded statements have lost
 * the configuration's name and what stands between columns; `fallbackConfig` and a space stand in for them.
 */
export function searchDocumentText(node: unknown, fallbackConfig: string): ExpressionText | undefined {
  const call = fieldsOf(node, "FuncCall");
  if (call === undefined || namesOf(listOf(call, "funcname")).at(-1) !== "to_tsvector") return undefined;
  const args = listOf(call, "args");
  const constant = args.length === 2 ? fieldsOf(uncast(args[0]), "A_Const") : undefined;
  const config = constant === undefined ? quoteLiteral(fallbackConfig) : constantText(constant);
  const found: Found = { guess: true };
  const document = write(args.at(-1), found);
  if (document === undefined || found.column === undefined || config === undefined) return undefined;
  const sql = `to_tsvector(${config.trim()}::regconfig, ${document})`;
  return { sql, qualifier: found.column.qualifier, column: found.column.name };
}

function uncast(node: unknown): unknown {
  const cast = fieldsOf(node, "TypeCast");
  return cast === undefined ? node : cast["arg"];
}

/** A column reference as qualifier and name; undefined for `*` and other nodes. */
export function columnName(node: unknown): { readonly qualifier: string | null; readonly name: string } | undefined {
  const reference = fieldsOf(node, "ColumnRef");
  if (reference === undefined) return undefined;
  const fields = listOf(reference, "fields");
  const names = namesOf(fields);
  const name = names.at(-1);
  if (name === undefined || names.length !== fields.length) return undefined;
  return { qualifier: names.length > 1 ? names.at(-2)! : null, name };
}

function write(node: unknown, found: Found): string | undefined {
  const column = columnName(node);
  if (column !== undefined) {
    if (found.column !== undefined && found.column.qualifier !== column.qualifier) return undefined;
    found.column ??= column;
    return quoteIdentifier(column.name);
  }
  const constant = fieldsOf(node, "A_Const");
  if (constant !== undefined) return constantText(constant);
  const call = fieldsOf(node, "FuncCall");
  if (call !== undefined) {
    const name = namesOf(listOf(call, "funcname")).at(-1);
    const args = listOf(call, "args").map((argument) => write(argument, found));
    if (name === undefined || !immutable.has(name) || args.includes(undefined)) return undefined;
    return `${name}(${args.join(", ")})`;
  }
  const coalesce = fieldsOf(node, "CoalesceExpr");
  if (coalesce !== undefined) {
    const args = listOf(coalesce, "args").map((argument) => writeOr(argument, "''", found));
    return args.includes(undefined) ? undefined : `coalesce(${args.join(", ")})`;
  }
  const operation = fieldsOf(node, "A_Expr");
  if (operation !== undefined && operation["kind"] === "AEXPR_OP") {
    const operator = namesOf(listOf(operation, "name")).at(-1);
    if (operator !== "->>" && operator !== "->" && operator !== "||") return undefined;
    const separator = operator === "||" ? "' '" : undefined;
    const left = writeOr(operation["lexpr"], separator, found);
    const right = writeOr(operation["rexpr"], separator, found);
    return left === undefined || right === undefined ? undefined : `(${left} ${operator} ${right})`;
  }
  return undefined;
}

function writeOr(node: unknown, lost: string | undefined, found: Found): string | undefined {
  const isLost = found.guess && fieldsOf(node, "ParamRef") !== undefined;
  return isLost ? lost : write(node, found);
}

/** A constant as SQL; undefined for NULL. */
export function constantText(constant: Node): string | undefined {
  const text = fieldsOf(constant, "sval")?.["sval"];
  if (typeof text === "string") return quoteLiteral(text).trim();
  const number = constant["ival"] as { ival?: number } | undefined;
  if (number !== undefined) return String(number.ival ?? 0);
  const decimal = constant["fval"] as { fval?: string } | undefined;
  if (decimal?.fval !== undefined) return decimal.fval;
  const truth = constant["boolval"] as { boolval?: boolean } | undefined;
  return truth === undefined ? undefined : String(truth.boolval ?? false);
}
