import { loadParser, type ParsedStatement, SqlSyntaxError } from "../parser.ts";

/** A text without the transaction it opened for itself. */
export interface WithoutTransaction {
  readonly sql: string;
  readonly removed: boolean;
  /** Where the parser stopped; null when all could be read. */
  readonly problem: string | null;
  /** True when transactions begin or end in the middle: nothing was removed. */
  readonly entangled: boolean;
  /** How many statements are left. */
  readonly statements: number;
}

/**
 * Takes away `begin` before and `commit` or `rollback` after everything else: here each file has its transaction from
 * the runner. psql's own lines are a problem of the parser.
 */
export async function withoutTransaction(sql: string): Promise<WithoutTransaction> {
  let statements: ParsedStatement[];
  try {
    statements = (await loadParser()).parse(sql);
  } catch (error) {
    if (!(error instanceof SqlSyntaxError)) throw error;
    const line = sql.slice(0, error.index).split("\n").length;
    return { sql, removed: false, entangled: false, statements: 1, problem: `line ${line}: ${error.message}` };
  }
  const ends = statements.filter(
    ({ node }) => "TransactionStmt" in node && !/SAVEPOINT|RELEASE|ROLLBACK_TO/.test(node.TransactionStmt.kind ?? ""),
  );
  const none = { sql, removed: false, entangled: false, statements: statements.length, problem: null };
  if (ends.length === 0) return none;
  const [first, last] = [statements[0], statements.at(-1)];
  const isPair = ends.length === 2 && ends[0] === first && ends[1] === last;
  if (!isPair) return { ...none, entangled: true };
  let text = sql;
  for (const { start, end } of [last, first] as ParsedStatement[]) {
    const semicolon = /^\s*;/.exec(text.slice(end))?.[0].length ?? 0;
    // The parser's statement begins where the one before ended, comments included: only the words go.
    const from = start + text.slice(start, end).search(/\b(begin|start|commit|end|rollback|abort)\b/i);
    text = text.slice(0, from) + text.slice(end + semicolon);
  }
  return { sql: text, removed: true, entangled: false, statements: statements.length - 2, problem: null };
}
