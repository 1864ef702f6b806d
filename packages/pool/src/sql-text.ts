/** A string, dollar-quoted text, quoted identifier, comment, or number: what may hide a semicolon or a value. */
const token =
  /(?<comment>--[^\n]*|\/\*[\s\S]*?\*\/)|(?<text>\b[eE]'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|\$(?<tag>[A-Za-z_]\w*|)\$[\s\S]*?\$\k<tag>\$)|(?<name>"(?:[^"]|"")*")|(?<number>(?<![\w$"])\d+(?:\.\d+)?)/g;

/** A statement without comments and with every literal replaced by `?`: safe to log, and the same for the same query. */
export function withoutLiterals(sql: string): string {
  return sql
    .replaceAll(token, (match, ...rest) => {
      const groups = rest.at(-1) as Record<string, string | undefined>;
      if (groups["name"] !== undefined) return match;
      return groups["comment"] === undefined ? "?" : " ";
    })
    .replaceAll(/\s+/g, " ")
    .trim();
}

const plainVerb = /^\s*(?:select|insert|update|delete|merge|values|with|table)\b/i;

/**
 * True for one query of the kind that commits as a whole or not at all. Several statements in one text, procedure
 * calls and `do` blocks may commit half-way.
 */
export function isSingleQuery(sql: string): boolean {
  if (!sql.includes(";") && plainVerb.test(sql)) return true;
  const bare = withoutLiterals(sql).replace(/[\s;]+$/, "");
  return plainVerb.test(bare) && !bare.includes(";");
}

/** The text of a statement as it may be logged. */
export function loggable(text: string): string {
  const short = withoutLiterals(text.length > 10_000 ? text.slice(0, 10_000) : text);
  return short.length > 1_000 ? `${short.slice(0, 999)}…` : short;
}
