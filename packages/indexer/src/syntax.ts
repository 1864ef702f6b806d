import { loadModule, parseSync } from "libpg-query";

/** A node of PostgreSQL's parse tree: one key naming its kind, and the fields under it. */
export type Node = Readonly<Record<string, unknown>>;

/** The fields of a node of one kind; undefined when it is of another. */
export function fieldsOf(node: unknown, kind: string): Node | undefined {
  const value = isNode(node) ? node[kind] : undefined;
  return isNode(value) ? value : undefined;
}

/** A list field; empty when absent. */
export function listOf(node: Node | undefined, field: string): readonly unknown[] {
  const value = node?.[field];
  return Array.isArray(value) ? value : [];
}

/** The strings of a list of `String` nodes: a qualified name. */
export function namesOf(list: readonly unknown[]): readonly string[] {
  return list.map((item) => fieldsOf(item, "String")?.["sval"]).filter((name) => typeof name === "string");
}

/** The statements of a text. @throws {Error} with the parser's message when it is no SQL of PostgreSQL 18 */
export async function parseStatements(text: string): Promise<readonly unknown[]> {
  await loadModule();
  const tree = parseSync(text) as unknown as Node;
  return listOf(tree, "stmts").map((item) => (item as Node)["stmt"]);
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
