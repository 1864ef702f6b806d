import { columnName, constantText, expressionText, searchDocumentText } from "./expression-text.ts";
import { fieldsOf, listOf, namesOf, type Node, parseStatements } from "./syntax.ts";

/** How a condition tests its operand. */
export type Test =
  | "equal"
  | "in"
  | "range"
  | "between"
  | "like"
  | "ilike"
  | "regex"
  | "text-search"
  | "contains"
  | "overlaps"
  | "has-key"
  | "is-null"
  | "is-not-null"
  | "is-true"
  | "is-false";

/** A column or an expression over columns, by the names the statement uses. */
export interface Operand {
  /** Alias or table in front of the dot. */
  readonly qualifier: string | null;
  readonly column: string;
  /** SQL without qualifiers, when it is more than the bare column. */
  readonly expression: string | null;
}

/** One condition every row must meet. */
export interface Condition {
  readonly operand: Operand;
  readonly test: Test;
  /** The other column, when two are compared. */
  readonly other: Operand | null;
  /** The value as SQL, where the text still holds it. */
  readonly literal: string | null;
}

/** One key of an ORDER BY. */
export interface OrderKey {
  readonly operand: Operand;
  readonly descending: boolean;
  readonly nulls: "first" | "last" | null;
}

/** A table a block reads. */
export interface Relation {
  readonly alias: string;
  readonly schema: string | null;
  readonly table: string;
}

/** One SELECT, UPDATE or DELETE within a statement: what it reads, asks and sorts by. */
export interface QueryBlock {
  readonly relations: readonly Relation[];
  readonly conditions: readonly Condition[];
  /** ORs: each arm needs an index of its own, or none helps. */
  readonly alternatives: readonly (readonly Condition[])[];
  readonly order: readonly OrderKey[];
  readonly limited: boolean;
}

/** What a statement asks of its tables. Names are not resolved yet. */
export interface QueryShape {
  readonly kind: "select" | "update" | "delete" | "insert" | "other";
  readonly blocks: readonly QueryBlock[];
}

interface Scope {
  readonly blocks: QueryBlock[];
  readonly commonTables: ReadonlySet<string>;
  readonly searchConfig: string;
}

interface MutableBlock {
  relations: Relation[];
  conditions: Condition[];
  alternatives: Condition[][];
  order: OrderKey[];
  limited: boolean;
}

/**
 * Reads what a statement asks of its tables. Knows no catalog.
 * @throws {Error} with the parser's message when the text is no SQL of PostgreSQL 18
 */
export async function readQueryShape(text: string, searchConfig: string = "english"): Promise<QueryShape> {
  const [statement, ...rest] = await parseStatements(text);
  if (statement === undefined || rest.length > 0) return { kind: "other", blocks: [] };
  const scope: Scope = { blocks: [], commonTables: new Set(), searchConfig };
  for (const [kind, name] of [
    ["select", "SelectStmt"],
    ["update", "UpdateStmt"],
    ["delete", "DeleteStmt"],
    ["insert", "InsertStmt"],
  ] as const) {
    const fields = fieldsOf(statement, name);
    if (fields === undefined) continue;
    readStatement(fields, scope);
    return { kind, blocks: scope.blocks };
  }
  return { kind: "other", blocks: [] };
}

/** A statement of any kind; the fields it has say what it is. */
function readStatement(fields: Node, outer: Scope): void {
  const scope = readCommonTables(fields, outer);
  const inserted = fieldsOf(fields["selectStmt"], "SelectStmt");
  if (inserted !== undefined) readStatement(inserted, scope);
  for (const side of [fields["larg"], fields["rarg"]]) {
    if (side !== undefined) readStatement(side as Node, scope);
  }
  const block: MutableBlock = { relations: [], conditions: [], alternatives: [], order: [], limited: false };
  // INSERT names its target here too, and reads nothing of it.
  const target = fields["selectStmt"] === undefined ? fields["relation"] : undefined;
  if (target !== undefined) addRelation(target as Node, block, scope);
  for (const item of [...listOf(fields, "fromClause"), ...listOf(fields, "usingClause")]) readFrom(item, block, scope);
  readCondition(fields["whereClause"], block, scope);
  const targets = listOf(fields, "targetList").map((item) => fieldsOf(item, "ResTarget"));
  for (const item of targets) readSublinks(item?.["val"], scope);
  for (const item of listOf(fields, "sortClause")) readOrder(item, targets, block);
  block.limited = fields["limitCount"] !== undefined;
  if (block.relations.length > 0) scope.blocks.push(block);
}

function readCommonTables(fields: Node, scope: Scope): Scope {
  const clause = fields["withClause"] as Node | undefined;
  const tables = listOf(clause, "ctes").map((item) => fieldsOf(item, "CommonTableExpr"));
  if (tables.length === 0) return scope;
  const names = tables.map((table) => String(table?.["ctename"]));
  const inner = { ...scope, commonTables: new Set([...scope.commonTables, ...names]) };
  for (const table of tables) readNested(table?.["ctequery"], inner);
  return inner;
}

function readNested(query: unknown, scope: Scope): void {
  for (const kind of ["SelectStmt", "UpdateStmt", "DeleteStmt", "InsertStmt"]) {
    const fields = fieldsOf(query, kind);
    if (fields !== undefined) readStatement(fields, scope);
  }
}

function addRelation(variable: Node, block: MutableBlock, scope: Scope): void {
  const table = String(variable["relname"]);
  const schema = typeof variable["schemaname"] === "string" ? variable["schemaname"] : null;
  if (schema === null && scope.commonTables.has(table)) return;
  const alias = variable["alias"] as { aliasname?: string } | undefined;
  block.relations.push({ alias: alias?.aliasname ?? table, schema, table });
}

function readFrom(item: unknown, block: MutableBlock, scope: Scope): void {
  const variable = fieldsOf(item, "RangeVar");
  if (variable !== undefined) addRelation(variable, block, scope);
  const nested = fieldsOf(item, "RangeSubselect");
  if (nested !== undefined) readNested(nested["subquery"], scope);
  const join = fieldsOf(item, "JoinExpr");
  if (join === undefined) return;
  const before = block.relations.length;
  readFrom(join["larg"], block, scope);
  const middle = block.relations.length;
  readFrom(join["rarg"], block, scope);
  readCondition(join["quals"], block, scope);
  const [left, right] = [block.relations[before], block.relations[middle]];
  for (const column of namesOf(listOf(join, "usingClause"))) {
    if (left === undefined || right === undefined) continue;
    const operand = { qualifier: left.alias, column, expression: null };
    const other = { qualifier: right.alias, column, expression: null };
    block.conditions.push({ operand, test: "equal", other, literal: null });
  }
}

function readOrder(item: unknown, targets: readonly (Node | undefined)[], block: MutableBlock): void {
  const sort = fieldsOf(item, "SortBy");
  const position = fieldsOf(sort?.["node"], "A_Const")?.["ival"] as { ival?: number } | undefined;
  const name = columnName(sort?.["node"]);
  // `order by 2` and `order by alias` mean the output column.
  const aliased = targets.find((target) => name?.qualifier === null && target?.["name"] === name.name);
  const node =
    position === undefined ? (aliased?.["val"] ?? sort?.["node"]) : targets[(position.ival ?? 1) - 1]?.["val"];
  const operand = readOperand(node);
  if (operand === undefined) {
    // A key that no index can give makes the keys after it useless.
    block.order.push({ operand: { qualifier: null, column: "", expression: null }, descending: false, nulls: null });
    return;
  }
  const nulls = sort?.["sortby_nulls"];
  block.order.push({
    operand,
    descending: sort?.["sortby_dir"] === "SORTBY_DESC",
    nulls: nulls === "SORTBY_NULLS_FIRST" ? "first" : nulls === "SORTBY_NULLS_LAST" ? "last" : null,
  });
}

function readOperand(node: unknown): Operand | undefined {
  const name = columnName(node);
  if (name !== undefined) return { qualifier: name.qualifier, column: name.name, expression: null };
  const text = expressionText(node);
  return text === undefined ? undefined : { qualifier: text.qualifier, column: text.column, expression: text.sql };
}

function readCondition(node: unknown, block: MutableBlock, scope: Scope): void {
  const logic = fieldsOf(node, "BoolExpr");
  if (logic?.["boolop"] === "AND_EXPR") {
    for (const argument of listOf(logic, "args")) readCondition(argument, block, scope);
    return;
  }
  readSublinks(node, scope);
  if (logic?.["boolop"] === "OR_EXPR") {
    const arms = listOf(logic, "args").map((argument) => readTest(argument, scope));
    const known = arms.filter((arm) => arm !== undefined);
    if (known.length !== arms.length) return;
    const same = known.every((arm) => arm.test === "equal" && sameOperand(arm.operand, known[0]!.operand));
    if (same) block.conditions.push({ ...known[0]!, test: "in", literal: null });
    else block.alternatives.push(known);
    return;
  }
  const condition = readTest(node, scope);
  if (condition !== undefined) block.conditions.push(condition);
}

const operatorTests: Readonly<Record<string, Test>> = {
  "=": "equal",
  "<": "range",
  "<=": "range",
  ">": "range",
  ">=": "range",
  "~~": "like",
  "~~*": "ilike",
  "~": "regex",
  "~*": "regex",
  "@@": "text-search",
  "@>": "contains",
  "&&": "overlaps",
  "?": "has-key",
  "?|": "has-key",
  "?&": "has-key",
};

const symmetric = new Set(["=", "&&", "@@", "<", "<=", ">", ">="]);

function readTest(node: unknown, scope: Scope): Condition | undefined {
  const bare = readOperand(node);
  if (bare !== undefined) return { operand: bare, test: "is-true", other: null, literal: null };
  const logic = fieldsOf(node, "BoolExpr");
  if (logic?.["boolop"] === "NOT_EXPR") {
    const operand = readOperand(listOf(logic, "args")[0]);
    return operand === undefined ? undefined : { operand, test: "is-false", other: null, literal: null };
  }
  for (const [kind, field, tests] of [
    ["NullTest", "nulltesttype", { IS_NULL: "is-null", IS_NOT_NULL: "is-not-null" }],
    ["BooleanTest", "booltesttype", { IS_TRUE: "is-true", IS_FALSE: "is-false" }],
  ] as const) {
    const fields = fieldsOf(node, kind);
    const operand = readOperand(fields?.["arg"]);
    const test = (tests as Readonly<Record<string, Test>>)[String(fields?.[field])];
    if (operand !== undefined && test !== undefined) return { operand, test, other: null, literal: null };
  }
  const link = fieldsOf(node, "SubLink");
  if (link?.["subLinkType"] === "ANY_SUBLINK") {
    const operand = readOperand(link["testexpr"]);
    return operand === undefined ? undefined : { operand, test: "in", other: null, literal: null };
  }
  return readComparison(fieldsOf(node, "A_Expr"), scope);
}

function readComparison(expression: Node | undefined, scope: Scope): Condition | undefined {
  if (expression === undefined) return undefined;
  const operator = namesOf(listOf(expression, "name")).at(-1) ?? "";
  const kind = String(expression["kind"]);
  const [left, right] = [expression["lexpr"], expression["rexpr"]];
  if (kind === "AEXPR_IN") {
    const operand = readOperand(left);
    return operand === undefined || operator !== "=" ? undefined : { operand, test: "in", other: null, literal: null };
  }
  if (kind === "AEXPR_OP_ANY") {
    const operand = readOperand(left);
    return operand === undefined || operator !== "=" ? undefined : { operand, test: "in", other: null, literal: null };
  }
  if (kind === "AEXPR_BETWEEN" || kind === "AEXPR_BETWEEN_SYM") {
    const operand = readOperand(left);
    return operand === undefined ? undefined : { operand, test: "between", other: null, literal: null };
  }
  const test = kind === "AEXPR_OP" || kind.endsWith("LIKE") ? operatorTests[operator] : undefined;
  if (test === undefined) return undefined;
  const read = (node: unknown): Operand | undefined => {
    const document = test === "text-search" ? searchDocumentText(node, scope.searchConfig) : undefined;
    if (document === undefined) return readOperand(node);
    return { qualifier: document.qualifier, column: document.column, expression: document.sql };
  };
  const [first, second] = [read(left), read(right)];
  if (first !== undefined) {
    return { operand: first, test, other: second ?? null, literal: second === undefined ? literalOf(right) : null };
  }
  if (second === undefined || !symmetric.has(operator)) return undefined;
  return { operand: second, test, other: null, literal: literalOf(left) };
}

function literalOf(node: unknown): string | null {
  const constant = fieldsOf(node, "A_Const");
  return (constant === undefined ? undefined : constantText(constant)) ?? null;
}

function sameOperand(a: Operand, b: Operand): boolean {
  return a.qualifier === b.qualifier && a.column === b.column && a.expression === b.expression;
}

// Subqueries may stand anywhere in an expression.
function readSublinks(node: unknown, scope: Scope): void {
  if (Array.isArray(node)) for (const item of node) readSublinks(item, scope);
  else if (typeof node === "object" && node !== null) {
    const link = fieldsOf(node, "SubLink");
    if (link !== undefined) readNested(link["subselect"], scope);
    for (const value of Object.values(link === undefined ? node : { testexpr: link["testexpr"] })) {
      readSublinks(value, scope);
    }
  }
}
