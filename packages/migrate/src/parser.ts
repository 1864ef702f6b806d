import type { Node } from "libpg-query";
import { sha256 } from "./checksum.ts";
import { excerptOf, type FileProblem, placeOf } from "./file-problem.ts";

export type { Node } from "libpg-query";

/** One SQL statement as PostgreSQL's own parser sees it. */
export interface ParsedStatement {
  /** The text, without the semicolon and without comments before it. */
  readonly sql: string;
  /** UTF-16 index in the text parsed. */
  readonly start: number;
  readonly end: number;
  readonly hash: string;
  /** The parse tree: `{ AlterTableStmt: … }`. */
  readonly node: Node;
}

/** Parses SQL; loaded once, on first use, since the parser is 1.7 MB of WebAssembly. */
export interface SqlParser {
  /**
   * Splits and parses. PostgreSQL 18's grammar, whatever the server.
   * @throws {SqlSyntaxError}
   */
  parse(sql: string): ParsedStatement[];
}

/** SQL the parser refuses. Internal: callers see a `FileProblem`. */
export class SqlSyntaxError extends Error {
  /** UTF-16 index of the offending token. */
  readonly index: number;

  constructor(message: string, index: number, cause: unknown) {
    super(message, { cause });
    this.name = "SqlSyntaxError";
    this.index = index;
  }
}

let loaded: Promise<SqlParser> | undefined;

/** The parser, ready to use synchronously. */
export function loadParser(): Promise<SqlParser> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<SqlParser> {
  const library = await import("libpg-query");
  await library.loadModule();
  return {
    parse(sql) {
      if (sql.trim() === "") return [];
      let statements;
      try {
        statements = library.parseSync(sql).stmts ?? [];
      } catch (error) {
        const details = library.hasSqlDetails(error) ? error.sqlDetails : undefined;
        if (!details) throw error;
        // The position counts code points, a JavaScript string counts UTF-16 units.
        const index = Array.from(sql).slice(0, details.cursorPosition).join("").length;
        throw new SqlSyntaxError(details.message, index, error);
      }
      // Statement locations count UTF-8 bytes.
      const bytes = Buffer.from(sql, "utf8");
      const isAscii = bytes.length === sql.length;
      const indexOf = (byte: number): number => (isAscii ? byte : bytes.toString("utf8", 0, byte).length);
      return statements.map((statement) => {
        const location = statement.stmt_location ?? 0;
        const start = indexOf(location);
        const end = statement.stmt_len ? indexOf(location + statement.stmt_len) : sql.length;
        const text = sql.slice(start, end).trimEnd().replace(/;$/, "").trimEnd();
        return { sql: text, start, end: start + text.length, hash: sha256(text), node: statement.stmt as Node };
      });
    },
  };
}

/** A syntax error as a problem of the file that holds the SQL, `offset` characters into it. */
export function syntaxProblem(error: SqlSyntaxError, file: string, text: string, offset: number): FileProblem {
  const index = offset + error.index;
  const place = placeOf(text, index);
  const isPsql = text[index] === "\\";
  return {
    code: "MIGRATE-SYNTAX",
    file,
    ...place,
    message: error.message,
    excerpt: excerptOf(text, place),
    hint: isPsql
      ? "Remove psql commands: a migration holds SQL only."
      : "Correct the SQL; the parser is PostgreSQL 18's own.",
  };
}
