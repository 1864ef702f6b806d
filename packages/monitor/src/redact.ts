/** The comment that every statement of the monitor carries. */
export const statementMark = "/* db-monitor */";

/** Whether a statement carries it: at its end, or near its beginning where it may be too long to be read whole. */
export function isMarked(text: string): boolean {
  return text.endsWith(statementMark) || text.slice(0, 100).includes(statementMark);
}

/**
 * The text of a statement without what it carries: literals and numbers become `?`, comments go, white space is
 * folded. A literal cut off by the server's own limit hides the rest of the text.
 */
export function redactSql(sql: string, maxLength: number): string {
  const redacted = sql
    .replaceAll(token, (match) => {
      if (match.startsWith("--") || match.startsWith("/*")) return " ";
      if (match.startsWith('"') || (match.startsWith("$") && /^\$\d+$/.test(match))) return match;
      return "?";
    })
    .replaceAll(/\s+/g, " ")
    .trim();
  return redacted.length > maxLength ? `${redacted.slice(0, maxLength - 1)}…` : redacted;
}

const token = new RegExp(
  [
    /--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/, // comments
    /"(?:[^"]|"")*(?:"|$)/, // quoted names
    /\$\d+/, // parameters
    /\$([A-Za-z_]\w*)?\$[\s\S]*?(?:\$\1\$|$)/, // dollar quotes
    /[eE]'(?:[^'\\]|\\.|'')*(?:'|$)/, // literals with escapes, to the end where they are cut off
    /(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*(?:'|$)/, // other literals
    /(?<![\w$"])\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/, // numbers
  ]
    .map(({ source }) => source)
    .join("|"),
  "g",
);
