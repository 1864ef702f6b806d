import type { StatementEffects } from "./effect-collector.ts";
import { sha256 } from "./checksum.ts";
import type { SectionSettings } from "./directive.ts";
import { excerptOf, type FileProblem } from "./file-problem.ts";
import type { HistoryState } from "./history.ts";
import type { MigrationFile, MigrationSection } from "./migration-file.ts";
import type { MigrationLimits } from "./options.ts";
import type { SqlParser } from "./parser.ts";
import type { PlannedMigration, PlannedStatement } from "./plan.ts";
import { type MigrationStatement, parseSection, transactionNeed } from "./statement.ts";
import { sqlName } from "./lint/rule.ts";
import { programSettings, settingsChangedBy } from "./session-settings.ts";
import { stringsOf } from "./working-catalog.ts";

/** A migration's section parsed, and whether it runs in one transaction. */
export interface ParsedMigration {
  readonly statements: readonly MigrationStatement[];
  readonly verify: readonly MigrationStatement[];
  readonly transactional: boolean;
  readonly transactionReason: string | null;
  /** In place of statements, for a program. */
  readonly program?: Pick<PlannedStatement, "sql" | "kind" | "file" | "line" | "hash" | "program">;
}

/** Parses the section to run, and the verify section with it. Problems go to `problems`. */
export function parseMigration(
  parser: SqlParser,
  section: MigrationSection,
  verify: MigrationSection | null,
  serverVersion: number,
  problems: FileProblem[],
): ParsedMigration {
  // What a program does cannot be told without running it.
  if (section.program) return programOf(section);
  const statements = parseSection(parser, section, problems);
  const outside = statements.find((one) => transactionNeed(one.node, serverVersion) === "outside");
  const { transaction } = section.settings;
  const transactional = transaction === "always" || (transaction === "auto" && !outside);
  const online = section.pieces.some(({ phase }) => phase !== undefined);
  if (!transactional) problems.push(...roleProblems(section, statements));
  const reason = online
    ? "expand, backfill and contract are separate steps"
    : transaction === "never"
      ? "the section says transaction=false"
      : `${outside?.kind} cannot run in a transaction`;
  return {
    statements,
    verify: verify ? parseSection(parser, verify, problems) : [],
    transactional,
    transactionReason: transactional ? null : reason,
  };
}

/** A journal row is written after each step, by the role that keeps the history. */
function roleProblems({ file, text }: MigrationSection, statements: readonly MigrationStatement[]): FileProblem[] {
  return statements.flatMap(({ node, line, column }) => {
    const changed = settingsChangedBy([node]).session;
    const name = changed.find((setting) => setting === "role" || setting === "session_authorization");
    if (name === undefined || ("VariableSetStmt" in node && node.VariableSetStmt.kind === "VAR_RESET")) return [];
    return {
      code: "MIGRATE-STATEMENT",
      file,
      line,
      column,
      message: `a migration that runs step by step must not change its ${name.replace("_", " ")}`,
      excerpt: excerptOf(text, { line, column }),
      hint: "Set it in a migration that is one transaction, or give the object to the role with OWNER TO.",
    };
  });
}

function programOf({ program = "up", settings, file, text }: MigrationSection): ParsedMigration {
  const statement = { sql: text, kind: "PROGRAM", file, line: 1, hash: sha256(text), program };
  const transactional = settings.transaction !== "never";
  const transactionReason = transactional ? null : "the file says transaction=false";
  return { statements: [], verify: [], transactional, transactionReason, program: statement };
}

/** Puts file, parse, effects and limits together. */
export function plannedMigration(
  file: Pick<MigrationFile, "id" | "version" | "name" | "kind" | "file" | "checksum" | "drizzle">,
  parsed: ParsedMigration,
  effects: readonly StatementEffects[],
  context: {
    readonly settings: SectionSettings;
    readonly limits: MigrationLimits;
    readonly serverVersion: number;
    readonly chain: string | null;
    readonly previousState: HistoryState | null;
    readonly previousDone: number;
    readonly downSql: string | null;
  },
): PlannedMigration {
  const { settings, limits, serverVersion, chain, previousState, previousDone, downSql } = context;
  const changed = parsed.program ? programSettings : settingsChangedBy(parsed.statements.map((one) => one.node));
  const none: StatementEffects = { locks: [], rewrites: [], scans: [], indexBuilds: [], opaque: false };
  return {
    id: file.id,
    version: file.version,
    name: file.name,
    kind: file.kind,
    file: file.file,
    checksum: file.checksum,
    chain,
    previousState,
    previousDone,
    transactional: parsed.transactional,
    transactionReason: parsed.transactionReason,
    lockTimeoutMs: settings.lockTimeoutMs === undefined ? limits.lockTimeoutMs : settings.lockTimeoutMs,
    statementTimeoutMs:
      settings.statementTimeoutMs === undefined ? limits.statementTimeoutMs : settings.statementTimeoutMs,
    lockRetries: settings.retries ?? limits.lockRetries,
    tags: settings.tags,
    settings: changed.session,
    localSettings: changed.local,
    statements: parsed.program
      ? [plannedProgram(parsed.program, none, parsed.transactional)]
      : parsed.statements.map((one, index) => plannedStatement(one, effects[index] ?? none, serverVersion)),
    verify: parsed.verify.map((one) => plannedStatement(one, none, serverVersion)),
    downSql,
    drizzle: file.drizzle,
  };
}

function plannedProgram(
  program: NonNullable<ParsedMigration["program"]>,
  none: StatementEffects,
  transactional: boolean,
): PlannedStatement {
  const transactionNeed = transactional ? "inside" : "outside";
  const effects = { ...none, opaque: true };
  return { ...program, effects, transactionNeed, index: null, phase: null, backfill: null };
}

function plannedStatement(
  statement: MigrationStatement,
  effects: StatementEffects,
  serverVersion: number,
): PlannedStatement {
  return {
    sql: statement.sql,
    kind: statement.kind,
    file: statement.file,
    line: statement.line,
    hash: statement.hash,
    effects,
    transactionNeed: transactionNeed(statement.node, serverVersion),
    index: concurrentIndexOf(statement),
    phase: statement.phase,
    program: null,
    backfill: statement.backfill,
  };
}

function concurrentIndexOf({ node }: MigrationStatement): PlannedStatement["index"] {
  if ("IndexStmt" in node && node.IndexStmt.concurrent && node.IndexStmt.idxname) {
    const { schemaname, relname = "" } = node.IndexStmt.relation ?? {};
    const table = schemaname === undefined ? sqlName(relname) : sqlName(schemaname, relname);
    return { name: sqlName(node.IndexStmt.idxname), table, action: "create" };
  }
  if ("DropStmt" in node && node.DropStmt.concurrent) {
    const [object] = node.DropStmt.objects ?? [];
    if (object && "List" in object)
      return { name: sqlName(...stringsOf(object.List.items)), table: null, action: "drop" };
  }
  return null;
}
