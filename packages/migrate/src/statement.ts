import { type BackfillSettings, batchMark, withoutBatchMarks } from "./backfill-settings.ts";
import { sha256 } from "./checksum.ts";
import { excerptOf, type FileProblem, TextPlaces } from "./file-problem.ts";
import type { MigrationSection, OnlinePhase } from "./migration-file.ts";
import { walk } from "./volatility.ts";
import { type Node, type ParsedStatement, type SqlParser, SqlSyntaxError, syntaxProblem } from "./parser.ts";

/** A statement of a migration file. */
export interface MigrationStatement extends ParsedStatement {
  readonly file: string;
  /** From 1, in the file. */
  readonly line: number;
  readonly column: number;
  /** How PostgreSQL names it: `CREATE INDEX CONCURRENTLY`. */
  readonly kind: string;
  /** UTF-16 index of its end in the file. */
  readonly fileEnd: number;
  /** Null outside an online migration. */
  readonly phase: OnlinePhase | null;
  /** Null unless it runs batch by batch. */
  readonly backfill: BackfillSettings | null;
  /** The one statement that a DO block runs unless what it makes is there already; null for all else. */
  readonly guarded: Node | null;
}

/** Parses a section; what it cannot use goes to `problems` and the rest is still returned. */
export function parseSection(
  parser: SqlParser,
  section: MigrationSection,
  problems: FileProblem[],
): MigrationStatement[] {
  const statements: MigrationStatement[] = [];
  const places = new TextPlaces(section.text);
  for (const piece of section.pieces) {
    let parsed: ParsedStatement[];
    try {
      parsed = piece.backfill ? parseBackfill(parser, piece.sql) : parser.parse(piece.sql);
    } catch (error) {
      if (!(error instanceof SqlSyntaxError)) throw error;
      problems.push(syntaxProblem(error, section.file, section.text, piece.offset));
      continue;
    }
    for (const statement of parsed) {
      const index = piece.offset + statement.start;
      const place = places.at(index);
      const refused = refusalOf(statement.node) ?? (piece.backfill ? backfillRefusalOf(statement) : null);
      if (refused) {
        const excerpt = excerptOf(section.text, place);
        problems.push({ code: "MIGRATE-STATEMENT", file: section.file, ...place, excerpt, ...refused });
      }
      const kind = kindOf(statement);
      const fileEnd = index + statement.sql.length;
      const { phase = null, backfill = null } = piece;
      const guarded = guardedBy(statement.node, parser);
      statements.push({ ...statement, file: section.file, ...place, kind, fileEnd, phase, backfill, guarded });
    }
  }
  return statements;
}

// As drizzle-kit writes around each CREATE TYPE and foreign key.
const guard = /^\s*begin\s+([^]+?)\s*exception\s+when\s+duplicate_(?:object|table|column)\s+then\s+null;\s*end;?\s*$/i;

function guardedBy(node: Node, parser: SqlParser): Node | null {
  if (!("DoStmt" in node)) return null;
  const options = (node.DoStmt.args ?? []).flatMap((arg) => ("DefElem" in arg ? [arg.DefElem] : []));
  const textOf = (name: string): string | undefined => {
    const arg = options.find(({ defname }) => defname === name)?.arg;
    return arg && "String" in arg ? arg.String.sval : undefined;
  };
  if ((textOf("language") ?? "plpgsql") !== "plpgsql") return null;
  const body = guard.exec(textOf("as") ?? "")?.[1];
  if (body === undefined) return null;
  try {
    const [only, ...others] = parser.parse(body);
    // A query in such a block may be more than SQL knows: SELECT INTO fills a variable there.
    return only && others.length === 0 && !("SelectStmt" in only.node) ? only.node : null;
  } catch {
    return null;
  }
}

function parseBackfill(parser: SqlParser, sql: string): ParsedStatement[] {
  return parser.parse(withoutBatchMarks(sql)).map((statement) => {
    const text = sql.slice(statement.start, statement.end);
    return { ...statement, sql: text, hash: sha256(text) };
  });
}

function backfillRefusalOf({ node, sql }: ParsedStatement): { message: string; hint: string } | null {
  const writes = "UpdateStmt" in node || "InsertStmt" in node || "DeleteStmt" in node;
  if (writes && sql.includes(batchMark)) return null;
  return {
    message: writes ? "the statement of a backfill has no :batch" : "a backfill is an UPDATE, INSERT or DELETE",
    hint: 'Put :batch into its WHERE, such as "where :batch and email_lower is null": it stands for the keys of a batch.',
  };
}

function refusalOf(node: Node): { message: string; hint: string } | null {
  if ("TransactionStmt" in node) {
    const kind = node.TransactionStmt.kind ?? "";
    if (/SAVEPOINT|RELEASE|ROLLBACK_TO/.test(kind)) return null;
    return {
      message: "a migration must not begin or end a transaction",
      hint: "Remove it: each file runs in one transaction, unless its section says transaction=false.",
    };
  }
  if ("DiscardStmt" in node && node.DiscardStmt.target === "DISCARD_ALL") {
    return {
      message: "DISCARD ALL lets go of the migration lock",
      hint: "Write what is meant of it: DISCARD PLANS, DISCARD TEMP, DEALLOCATE ALL or RESET of a setting.",
    };
  }
  if ("VariableSetStmt" in node && node.VariableSetStmt.kind === "VAR_RESET_ALL") {
    return {
      message: "RESET ALL takes away the time-outs of the migration",
      hint: "Reset settings by their names; those that the migration sets are given back without it.",
    };
  }
  if (makesReadOnly(node)) {
    return {
      message: "a read-only transaction cannot keep its row of the history",
      hint: "Remove it, or put the queries into a verify section.",
    };
  }
  if ("SelectStmt" in node && callsFunction(node, "pg_advisory_unlock_all")) {
    return {
      message: "pg_advisory_unlock_all() lets go of the migration lock",
      hint: "Unlock by key, or take locks that end with the transaction: pg_advisory_xact_lock().",
    };
  }
  if ("CopyStmt" in node && node.CopyStmt.filename === undefined) {
    return {
      message: "COPY from or to the client cannot run in a migration",
      hint: "Use INSERT, or load the data after the migration.",
    };
  }
  return null;
}

function makesReadOnly(node: Node): boolean {
  if (!("VariableSetStmt" in node)) return false;
  const { name = "", args = [] } = node.VariableSetStmt;
  const options = args.flatMap((arg) => ("DefElem" in arg ? [arg.DefElem] : []));
  if (name.toLowerCase() === "transaction_read_only")
    return !/"(off|false|no|0)"|"ival":\{\}/.test(JSON.stringify(args));
  return (
    name === "TRANSACTION" &&
    options.some(({ defname, arg }) => defname === "transaction_read_only" && /"ival":1/.test(JSON.stringify(arg)))
  );
}

function callsFunction(node: Node, name: string): boolean {
  let calls = false;
  walk(node, (kind, fields) => {
    if (kind !== "FuncCall") return;
    const { funcname } = fields as { readonly funcname?: { readonly String?: { readonly sval?: string } }[] };
    calls ||= funcname?.at(-1)?.String?.sval === name;
  });
  return calls;
}

function kindOf({ node, sql }: ParsedStatement): string {
  const words = /^[A-Za-z]+(\s+[A-Za-z]+)?/.exec(sql)?.[0]?.toUpperCase().replace(/\s+/g, " ") ?? "";
  const [first = "", second = ""] = words.split(" ");
  if ("IndexStmt" in node) {
    return ["CREATE", node.IndexStmt.unique && "UNIQUE", "INDEX", node.IndexStmt.concurrent && "CONCURRENTLY"]
      .filter(Boolean)
      .join(" ");
  }
  if ("DropStmt" in node && node.DropStmt.concurrent) return "DROP INDEX CONCURRENTLY";
  if ("ViewStmt" in node) return "CREATE VIEW";
  if ("CreateFunctionStmt" in node)
    return node.CreateFunctionStmt.is_procedure ? "CREATE PROCEDURE" : "CREATE FUNCTION";
  if ("CreateTrigStmt" in node) return "CREATE TRIGGER";
  if ("CreateStmt" in node) return "CREATE TABLE";
  const twoWords = ["ALTER", "CREATE", "DROP", "COMMENT", "REFRESH", "REINDEX", "LOCK"];
  return twoWords.includes(first) && second ? `${first} ${second}` : first;
}

/**
 * How a statement stands to transactions: `outside` cannot run in one, `own` may end one itself,
 * `inside` runs in one.
 */
export function transactionNeed(node: Node, serverVersion = 180_000): "outside" | "own" | "inside" {
  if ("CallStmt" in node || "DoStmt" in node) return "own";
  return refusesTransaction(node, serverVersion) ? "outside" : "inside";
}

// PreventInTransactionBlock is called for exactly these (src/backend/tcop/utility.c and the commands themselves).
function refusesTransaction(node: Node, serverVersion: number): boolean {
  if ("IndexStmt" in node) return node.IndexStmt.concurrent === true;
  if ("DropStmt" in node) return node.DropStmt.concurrent === true;
  if ("VacuumStmt" in node) return node.VacuumStmt.is_vacuumcmd === true;
  if ("ClusterStmt" in node) return node.ClusterStmt.relation === undefined;
  if ("ReindexStmt" in node) {
    const { kind, params = [] } = node.ReindexStmt;
    const isConcurrent = hasOption(params, "concurrently");
    return isConcurrent || !/INDEX$|TABLE$/.test(kind ?? "");
  }
  if ("AlterEnumStmt" in node) return serverVersion < 120_000 && node.AlterEnumStmt.newVal !== undefined;
  if ("AlterTableStmt" in node) {
    return (node.AlterTableStmt.cmds ?? []).some((command) => {
      const def = "AlterTableCmd" in command ? command.AlterTableCmd.def : undefined;
      return def !== undefined && "PartitionCmd" in def && def.PartitionCmd.concurrent === true;
    });
  }
  if ("CreateSubscriptionStmt" in node || "DropSubscriptionStmt" in node) return true;
  return [
    "AlterSystemStmt",
    "CreatedbStmt",
    "DropdbStmt",
    "CreateTableSpaceStmt",
    "DropTableSpaceStmt",
    "AlterDatabaseRefreshCollStmt",
  ].some((name) => name in node);
}

/** Whether an option list such as `(concurrently, verbose)` has one switched on. */
export function hasOption(options: readonly Node[], name: string): boolean {
  return options.some((option) => {
    if (!("DefElem" in option) || option.DefElem.defname !== name) return false;
    const { arg } = option.DefElem;
    if (arg === undefined) return true;
    const value = "String" in arg ? arg.String.sval : "Integer" in arg ? String(arg.Integer.ival ?? 0) : "true";
    return !["false", "off", "0"].includes(value ?? "true");
  });
}
