import type { WorkingTable } from "./working-catalog.ts";

/**
 * Whether the server knows without reading a row that a column holds no NULL: it is NOT NULL already, is in the
 * primary key, or a validated CHECK says so, alone or joined by AND (from PostgreSQL 12).
 */
export function coversNotNull(table: WorkingTable | undefined, column: string): boolean {
  if (!table) return false;
  if (table.columns.find((one) => one.name === column)?.notNull) return true;
  return table.constraints.some((constraint) => {
    if (!constraint.validated) return false;
    if (constraint.type === "primary" || constraint.type === "not-null") return constraint.columns.includes(column);
    return (
      constraint.type === "check" &&
      conjuncts(constraint.definition).some((part) => part === `${quoted(column)} IS NOT NULL`)
    );
  });
}

/** The parts of `CHECK ((a IS NOT NULL) AND …)` that must all hold, as the server prints them. */
function conjuncts(definition: string): string[] {
  const inner = /^CHECK \((.*)\)(?: NO INHERIT)?$/s.exec(definition.trim())?.[1];
  return inner === undefined ? [] : splitAnd(inner);
}

function splitAnd(expression: string): string[] {
  const text = stripParentheses(expression.trim());
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  let isQuoted: string | null = null;
  for (let index = 0; index < text.length; index++) {
    const character = text[index] ?? "";
    if (isQuoted) {
      if (character === isQuoted) isQuoted = null;
    } else if (character === "'" || character === '"') isQuoted = character;
    else if (character === "(") depth++;
    else if (character === ")") depth--;
    else if (depth === 0 && text.startsWith(" OR ", index)) return [text];
    else if (depth === 0 && text.startsWith(" AND ", index)) {
      parts.push(text.slice(start, index));
      start = index + 5;
    }
  }
  if (parts.length === 0) return [text];
  return [...parts, text.slice(start)].flatMap(splitAnd);
}

function stripParentheses(text: string): string {
  if (!text.startsWith("(") || !text.endsWith(")")) return text;
  let depth = 0;
  for (let index = 0; index < text.length; index++) {
    if (text[index] === "(") depth++;
    if (text[index] === ")" && --depth === 0 && index < text.length - 1) return text;
  }
  return stripParentheses(text.slice(1, -1).trim());
}

function quoted(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}
