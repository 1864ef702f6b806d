import { columnName, constantText, expressionText, searchDocumentText } from "./expression-text.ts";
import { fieldsOf, listOf, namesOf, type Node } from "./syntax.ts";

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

/** A column, or an expression an index may hold; undefined for anything else. */
export function readOperand(node: unknown): Operand | undefined {
  const name = columnName(node);
  if (name !== undefined) return { qualifier: name.qualifier, column: name.name, expression: null };
  const text = expressionText(node);
  return text === undefined ? undefined : { qualifier: text.qualifier, column: text.column, expression: text.sql };
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

/** A condition on one column or expression; undefined for what no index answers. */
export function readTest(node: unknown, searchConfig: string): Condition | undefined {
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
  return readComparison(fieldsOf(node, "A_Expr"), searchConfig);
}

function readComparison(expression: Node | undefined, searchConfig: string): Condition | undefined {
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
    const document = test === "text-search" ? searchDocumentText(node, searchConfig) : undefined;
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

/** True when two operands are written alike. */
export function sameOperand(a: Operand, b: Operand): boolean {
  return a.qualifier === b.qualifier && a.column === b.column && a.expression === b.expression;
}
