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

// The parser makes some thirty times a text's length of it, in a memory that ends at one gigabyte.
const longestPart = 1 << 20;

async function load(): Promise<SqlParser> {
  const library = await import("libpg-query");
  await library.loadModule();
  const parsePart = (sql: string, offset: number): ParsedStatement[] => {
    let statements;
    try {
      statements = library.parseSync(sql).stmts ?? [];
    } catch (error) {
      const details = library.hasSqlDetails(error) ? error.sqlDetails : undefined;
      if (!details) {
        const size = Math.round(sql.length / 1e6);
        throw new SqlSyntaxError(`a statement of ${size} MB is too large for the parser`, offset, error);
      }
      throw new SqlSyntaxError(details.message, offset + utf16Index(sql, details.cursorPosition), error);
    }
    const indexOf = byteIndex(sql);
    return statements.map((statement) => {
      const location = statement.stmt_location ?? 0;
      const start = indexOf(location);
      const end = statement.stmt_len ? indexOf(location + statement.stmt_len) : sql.length;
      const text = sql.slice(start, end).trimEnd().replace(/;$/, "").trimEnd();
      const node = statement.stmt as Node;
      return { sql: text, start: offset + start, end: offset + start + text.length, hash: sha256(text), node };
    });
  };
  return {
    parse(sql) {
      if (sql.trim() === "") return [];
      if (sql.length <= longestPart) return parsePart(sql, 0);
      return parseInParts(sql, parsePart);
    },
  };
}

/**
 * Parses a long text part by part. A part ends at a semicolon, and only the parser says whether that ended a statement:
 * in a string, a comment or a function's body it does not, the part is then cut short, and is tried again longer. What
 * it takes as whole statements are the statements of the whole text, since the grammar never looks back.
 */
function parseInParts(sql: string, parsePart: (part: string, offset: number) => ParsedStatement[]): ParsedStatement[] {
  const statements: ParsedStatement[] = [];
  for (let start = 0, length = longestPart; start < sql.length;) {
    const cut = start + length >= sql.length ? -1 : sql.lastIndexOf(";", start + length);
    const end = start + length >= sql.length ? sql.length : Math.max(cut + 1, start);
    const part = sql.slice(start, end);
    if (part.trim() !== "") {
      try {
        for (const statement of parsePart(part, start)) {
          statements.push({ ...statement, node: withoutConstants(statement.node) });
        }
      } catch (error) {
        if (!(error instanceof SqlSyntaxError) || end === sql.length || !isCutShort(error)) throw error;
        length *= 2;
        continue;
      }
    }
    // No semicolon in all of it: look further.
    length = end === start ? length * 2 : longestPart;
    start = end;
  }
  return statements;
}

function isCutShort({ message }: SqlSyntaxError): boolean {
  return message === "syntax error at end of input" || message.startsWith("unterminated ");
}

/** The parser's position counts code points, a JavaScript string counts UTF-16 units. */
function utf16Index(text: string, codePoints: number): number {
  let index = 0;
  for (let left = codePoints; left > 0 && index < text.length; left--) {
    index += (text.codePointAt(index) ?? 0) > 0xffff ? 2 : 1;
  }
  return index;
}

/** UTF-16 indexes of UTF-8 positions, asked for in ascending order: statement locations count bytes. */
function byteIndex(sql: string): (byte: number) => number {
  const bytes = Buffer.from(sql, "utf8");
  if (bytes.length === sql.length) return (byte) => byte;
  let [doneBytes, doneIndex] = [0, 0];
  return (byte) => {
    if (byte < doneBytes) [doneBytes, doneIndex] = [0, 0];
    doneIndex += bytes.toString("utf8", doneBytes, byte).length;
    doneBytes = byte;
    return doneIndex;
  };
}

/** Rows of nothing but constants are most of a large file, and say nothing that the statement's text does not. */
function withoutConstants(node: Node): Node {
  if (!("InsertStmt" in node)) return node;
  const { selectStmt } = node.InsertStmt;
  const select = selectStmt && "SelectStmt" in selectStmt ? selectStmt.SelectStmt : undefined;
  const rows = select?.valuesLists ?? [];
  const isConstant = (row: Node): boolean =>
    "List" in row && (row.List.items ?? []).every((item) => "A_Const" in item || "SetToDefault" in item);
  if (rows.length === 0 || !rows.every(isConstant)) return node;
  return {
    InsertStmt: { ...node.InsertStmt, cols: [], selectStmt: { SelectStmt: { ...select, valuesLists: [constantRow] } } },
  } as Node;
}

const constantRow: Node = Object.freeze({ List: {} });

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
      : error.message.includes("too large")
        ? "Write its rows as several statements, or load them with COPY once the migration has run."
        : "Correct the SQL; the parser is PostgreSQL 18's own.",
  };
}
