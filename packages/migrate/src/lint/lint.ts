import type { Severity } from "@db/core";
import type { Catalog } from "../catalog.ts";
import type { StatementEffects } from "../effect-collector.ts";
import { predictEffects } from "../effects.ts";
import type { MigrationFinding } from "../finding.ts";
import type { PlacedAllowance } from "../migration-file.ts";
import type { Node } from "../parser.ts";
import { replay } from "../replay.ts";
import type { MigrationStatement } from "../statement.ts";
import { WorkingCatalog } from "../working-catalog.ts";
import { addColumnRules } from "./add-column-rules.ts";
import { compatibilityRules } from "./compatibility-rules.ts";
import { constraintRules } from "./constraint-rules.ts";
import { indexRules } from "./index-rules.ts";
import { lockRules } from "./lock-rules.ts";
import { namingRules } from "./naming-rules.ts";
import { partitionRules } from "./partition-rules.ts";
import { tableRules } from "./table-rules.ts";
import type { LintRule, LintSubject, RuleHit } from "./rule.ts";
import { transactionRules } from "./transaction-rules.ts";

/** Every rule in force, by id. */
export const lintRules: ReadonlyMap<string, LintRule> = new Map(
  [
    ...addColumnRules,
    ...constraintRules,
    ...indexRules,
    ...partitionRules,
    ...compatibilityRules,
    ...lockRules,
    ...transactionRules,
    ...tableRules,
    ...namingRules,
  ].map((rule) => [rule.id, rule]),
);

/** A migration parsed and ready to be judged. */
export interface LintMigration {
  readonly id: string;
  readonly statements: readonly MigrationStatement[];
  readonly transactional: boolean;
  readonly allowances: readonly PlacedAllowance[];
}

/** How findings are weighed. */
export interface LintSettings {
  /** Findings of this severity and worse block. */
  readonly blocks: "critical" | "warn" | "never";
  /** A table estimated to hold fewer rows is quick to read or rewrite: such findings become `info`. Default 10 000. */
  readonly smallTableRows?: number;
  /** `plan`: tables made by any of the migrations are exempt. `migration`: only those made by the same one. */
  readonly exempt: "plan" | "migration";
  /** Ask the rules of taste and policy too. Default false. */
  readonly advice?: boolean;
  /** Rows by qualified table, over what the catalog and the replay know. */
  readonly rows?: ReadonlyMap<string, number | null>;
}

/** What one statement was predicted to do, and what was found in the migrations. */
export interface LintOutcome {
  readonly findings: readonly MigrationFinding[];
  /** By migration, in the order of its statements. */
  readonly effects: ReadonlyMap<string, readonly StatementEffects[]>;
}

const defaultSmallTableRows = 10_000;

/** What is judged of a guarded statement is what it runs. */
function asRun(statement: MigrationStatement): MigrationStatement {
  return statement.guarded ? { ...statement, node: statement.guarded } : statement;
}

/** Judges migrations one after the other against the catalog each of them will find. Pure. */
export function lint(given: readonly LintMigration[], catalog: Catalog, settings: LintSettings): LintOutcome {
  const migrations = given.map((migration) => ({ ...migration, statements: migration.statements.map(asRun) }));
  const outcome = new WorkingCatalog(catalog);
  for (const { statements } of migrations) for (const { node } of statements) replay(node, outcome);
  const working = new WorkingCatalog(catalog);
  const asked = [...lintRules.values()].filter(({ advice }) => !advice || settings.advice);
  const findings: MigrationFinding[] = [];
  const effects = new Map<string, StatementEffects[]>();
  for (const migration of migrations) {
    if (settings.exempt === "migration") working.settle();
    const before: { statement: MigrationStatement; effects: StatementEffects }[] = [];
    // Rows written tell nothing of what comes before or after them, and a file may have very many.
    const shaping = migration.statements.filter(({ node }) => !isData(node));
    let passed = 0;
    const predictions: StatementEffects[] = [];
    const allowances = new AllowanceBook(migration);
    const found: MigrationFinding[] = [];
    for (const statement of migration.statements) {
      const isShaping = shaping[passed] === statement;
      if (isShaping) passed++;
      const first = passed;
      const predicted = predictEffects(statement.node, working);
      const subject: LintSubject = {
        statement,
        effects: predicted,
        catalog: working,
        outcome,
        transactional: migration.transactional,
        before,
        get after() {
          return shaping.slice(first);
        },
      };
      for (const rule of asked) {
        let told: Set<string> | undefined;
        for (const hit of rule.check(subject)) {
          // Three columns changed in one statement are one rewrite.
          if (rule.grows && hit.table !== undefined && told?.has(hit.table)) continue;
          told = (told ?? new Set()).add(hit.table ?? "");
          if (allowances.covers(rule.id, statement)) continue;
          const severity = severityOf(rule, hit, working, settings);
          found.push(findingOf(rule, hit, severity, migration.id, statement, settings));
        }
      }
      predictions.push(predicted);
      if (isShaping) before.push({ statement, effects: predicted });
      replay(statement.node, working);
    }
    findings.push(...joined(found), ...allowances.unused(settings.advice === true));
    effects.set(migration.id, predictions);
  }
  return { findings, effects };
}

function isData(node: Node): boolean {
  return "InsertStmt" in node || "UpdateStmt" in node || "DeleteStmt" in node || "MergeStmt" in node;
}

function severityOf(rule: LintRule, hit: RuleHit, catalog: WorkingCatalog, settings: LintSettings): Severity {
  if (!rule.grows || hit.table === undefined) return rule.severity;
  const known = settings.rows?.get(hit.table) ?? catalog.tables.get(hit.table)?.rows;
  const rows = known ?? Number.POSITIVE_INFINITY;
  return rows < (settings.smallTableRows ?? defaultSmallTableRows) ? "info" : rule.severity;
}

/** One finding for each rule in a migration: what stands in five lines is one thing to mend. */
function joined(findings: readonly MigrationFinding[]): MigrationFinding[] {
  const groups = Map.groupBy(findings, ({ rule, severity }) => `${rule} ${severity}`);
  return [...groups.values()].map(([first, ...others]) => {
    if (!first || others.length === 0) return first as MigrationFinding;
    const places = others.map(({ line, column, title, safer, subject }) => ({
      ...(subject === undefined ? {} : { subject }),
      line,
      column,
      title,
      safer,
    }));
    return { ...first, title: `${first.title}, and ${others.length} more like it in this file`, also: places };
  });
}

function findingOf(
  rule: LintRule,
  hit: RuleHit,
  severity: Severity,
  migration: string,
  statement: MigrationStatement,
  settings: LintSettings,
): MigrationFinding {
  const isWorse = severity === "critical" || (severity === "warn" && settings.blocks === "warn");
  return {
    id: `LINT-${rule.id.toUpperCase()}`,
    severity,
    title: hit.title,
    hint: rule.hint,
    ...(hit.table === undefined ? {} : { subject: hit.table }),
    migration,
    rule: rule.id,
    file: statement.file,
    line: statement.line,
    column: statement.column,
    blocks: settings.blocks !== "never" && isWorse,
    safer: hit.safer ?? null,
  };
}

/** Which findings a migration's `-- migrate:allow` lines let pass, and which lines let none. */
class AllowanceBook {
  readonly #migration: LintMigration;
  readonly #used = new Set<PlacedAllowance>();

  constructor(migration: LintMigration) {
    this.#migration = migration;
  }

  /** An allowance speaks for the statement after it; with none after it, or before the first section, for all. */
  covers(rule: string, statement: MigrationStatement): boolean {
    const { statements, allowances } = this.#migration;
    const allowance = allowances.find((candidate) => {
      if (candidate.rule !== rule) return false;
      const next = statements.find((one) => one.fileEnd > candidate.index);
      return candidate.beforeSection || next === undefined || next === statement;
    });
    if (allowance) this.#used.add(allowance);
    return allowance !== undefined;
  }

  unused(advice: boolean): MigrationFinding[] {
    const { id, allowances, statements } = this.#migration;
    return allowances
      .filter((allowance) => !this.#used.has(allowance) && (advice || !lintRules.get(allowance.rule)?.advice))
      .map((allowance) => ({
        id: "LINT-UNUSED-ALLOW",
        severity: "warn",
        title: lintRules.has(allowance.rule)
          ? `migrate:allow ${allowance.rule} lets nothing pass`
          : `migrate:allow names "${allowance.rule}", which is no rule`,
        hint: "Remove the line, or correct the rule's name.",
        migration: id,
        rule: "unused-allow",
        file: statements[0]?.file ?? null,
        line: allowance.line,
        column: 1,
        blocks: false,
        safer: null,
      }));
  }
}
