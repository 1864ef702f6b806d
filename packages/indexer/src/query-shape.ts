import { type Condition, type Operand, readOperand, readTest, sameOperand } from "./condition.ts";
import { columnName } from "./expression-text.ts";
import { fieldsOf, listOf, namesOf, type Node, parseStatements } from "./syntax.ts";

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

function readCondition(node: unknown, block: MutableBlock, scope: Scope): void {
  const logic = fieldsOf(node, "BoolExpr");
  if (logic?.["boolop"] === "AND_EXPR") {
    for (const argument of listOf(logic, "args")) readCondition(argument, block, scope);
    return;
  }
  readSublinks(node, scope);
  if (logic?.["boolop"] === "OR_EXPR") {
    const arms = listOf(logic, "args").map((argument) => readTest(argument, scope.searchConfig));
    const known = arms.filter((arm) => arm !== undefined);
    if (known.length !== arms.length) return;
    const same = known.every((arm) => arm.test === "equal" && sameOperand(arm.operand, known[0]!.operand));
    if (same) block.conditions.push({ ...known[0]!, test: "in", literal: null });
    else block.alternatives.push(known);
    return;
  }
  const condition = readTest(node, scope.searchConfig);
  if (condition !== undefined) block.conditions.push(condition);
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
