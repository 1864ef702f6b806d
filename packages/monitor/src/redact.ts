/** The comment that every statement of the monitor carries. */
export const statementMark = "/* db-monitor */";

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

// In order: comments, quoted names, parameters, dollar quotes, literals (with escapes, or cut off), numbers.
const token =
  /--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|"(?:[^"]|"")*(?:"|$)|\$\d+|\$([A-Za-z_]\w*)?\$[\s\S]*?(?:\$\1\$|$)|[eE]'(?:[^'\\]|\\.|'')*(?:'|$)|(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*(?:'|$)|(?<![\w$"])\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
