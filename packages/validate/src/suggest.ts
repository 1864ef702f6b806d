import { type DatabaseLike, noProgress, type OnProgress, quoteIdentifier, toDatabase } from "@db/core";
import { type Catalog, type CatalogColumn, type CatalogTable, readCatalog } from "./catalog.ts";
import { dependencyCandidates } from "./dependency.ts";
import { evaluateRules } from "./evaluate.ts";
import { measureRules } from "./measure.ts";
import { editDistance } from "./near-match.ts";
import { resolveValidationOptions } from "./options.ts";
import { planValidation } from "./plan.ts";
import { type ColumnProfile, profileTable } from "./profile.ts";
import { referenceCandidates } from "./reference-candidate.ts";
import { checkRules } from "./rule-check.ts";
import type { ValidationRule } from "./rule.ts";
import { attempt, checkSignal, readOneSnapshot } from "./session.ts";
import { findTable, tableLabel } from "./table-name.ts";
import { textForm } from "./text-form.ts";

/** A rule the data seems to follow. */
export interface RuleSuggestion {
  readonly rule: ValidationRule;
  /** True when every row follows it now; false when so few do not that they look like faults. */
  readonly holds: boolean;
  readonly checked: number;
  readonly violations: number;
  /** How likely it is meant, rather than so by accident. */
  readonly confidence: Confidence;
  /** What in the data or the names led to it. Holds no row values. */
  readonly why: string;
}

/** How likely a suggestion is what the owner of the data means. */
export type Confidence = "high" | "medium" | "low";

/** What `suggestRules` found. */
export interface SuggestionReport {
  /** Rules that almost hold first, then those that hold; within each the most confident first. */
  readonly suggestions: readonly RuleSuggestion[];
  readonly tables: number;
  /** Candidates that could not be checked in time or by this role. */
  readonly notChecked: number;
  readonly durationMs: number;
}

/** How suggestions are looked for. */
export interface SuggestionOptions {
  /** Only these, as `schema.table` or `table`. Default: every table outside the system schemas. */
  readonly tables?: readonly string[];
  /** Largest share of rows that may break a rule for it to be told still, 0 to 1. Default 0.05. */
  readonly maxViolationRatio?: number;
  /** Also look for columns that determine others; reads up to 2,000 rows of each table. Default `false`. */
  readonly dependencies?: boolean;
  /** Longest any one statement may take; what it would have checked is not suggested. Default 60 000. */
  readonly statementTimeoutMs?: number;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** A rule to be checked, and why. */
export interface Candidate {
  readonly rule: ValidationRule;
  readonly confidence: Confidence;
  readonly why: string;
}

/** Tables with fewer rows say nothing about the rows to come. */
const minRows = 20;

/**
 * Suggests rules for a database made by somebody else, from its catalog, its statistics and its names, and checks
 * each on all the data before telling it. Reads only; what a constraint already guarantees is not suggested.
 */
export async function suggestRules(db: DatabaseLike, options: SuggestionOptions = {}): Promise<SuggestionReport> {
  const { maxViolationRatio = 0.05, signal, onProgress = noProgress, statementTimeoutMs } = options;
  const resolved = resolveValidationOptions({
    onProgress,
    ...(signal === undefined ? {} : { signal }),
    ...(statementTimeoutMs === undefined ? {} : { statementTimeoutMs }),
  });
  const started = resolved.clock.now();
  return toDatabase(db).withTransaction(async (tx) => {
    await readOneSnapshot(tx, resolved);
    const catalog = await readCatalog(tx);
    const tables = chosenTables(catalog, options.tables);
    const candidates: Candidate[] = [];
    for (const [current, table] of tables.entries()) {
      checkSignal(signal);
      onProgress({ phase: "profile", current, total: tables.length, unit: "steps", message: tableLabel(table) });
      // A table this role may not read suggests nothing.
      await tx.query("savepoint profile");
      const profiles = await profileTable(tx, table).catch(async () => {
        await tx.query("rollback to savepoint profile");
        return [];
      });
      candidates.push(...columnCandidates(table, profiles), ...pairCandidates(table));
      if (options.dependencies === true) candidates.push(...(await dependencyCandidates(tx, table, attempt)));
    }
    candidates.push(...referenceCandidates(catalog, tables));
    const { rules } = checkRules(
      candidates.map((candidate, index) => ({ ...candidate.rule, id: String(index) })),
      catalog,
    );
    const plan = planValidation(rules);
    const { measured } = await measureRules(tx, rules, plan.steps, resolved);
    const results = evaluateRules(plan, measured);
    const suggestions = results.flatMap((result) => {
      const { checked, violations } = result;
      if (result.status === "proved" || !checked || violations === null) return [];
      if (violations / checked > maxViolationRatio) return [];
      const { rule, confidence, why } = candidates[Number(result.id)]!;
      return [{ rule, holds: violations === 0, checked, violations, confidence, why }];
    });
    return {
      suggestions: suggestions.sort(mostTelling),
      tables: tables.length,
      notChecked: results.filter((result) => result.status === "error").length,
      durationMs: resolved.clock.now() - started,
    };
  });
}

const confidenceRank: Readonly<Record<Confidence, number>> = { high: 0, medium: 1, low: 2 };

function mostTelling(a: RuleSuggestion, b: RuleSuggestion): number {
  return (
    Number(a.holds) - Number(b.holds) ||
    confidenceRank[a.confidence] - confidenceRank[b.confidence] ||
    b.violations - a.violations
  );
}

function chosenTables(catalog: Catalog, names: readonly string[] | undefined): readonly CatalogTable[] {
  if (names !== undefined) return names.map((name) => findTable(catalog, name)).filter((table) => table !== undefined);
  return catalog.tables.filter((table) => table.kind === "table" || table.kind === "partitioned");
}

function columnCandidates(table: CatalogTable, profiles: readonly ColumnProfile[]): readonly Candidate[] {
  const isKey = (name: string): boolean =>
    table.primaryKey.includes(name) || table.foreignKeys.some((key) => key.columns.includes(name));
  return profiles.flatMap((profile) => {
    const column = table.columns.find(({ name }) => name === profile.column);
    if (column === undefined) return [];
    const all = [presence(table, column, profile)];
    if (!isKey(column.name)) {
      all.push(uniqueness(table, column, profile));
      all.push(acceptedValues(table, column, profile) ?? form(table, column, profile));
      all.push(sign(table, column, profile));
    }
    return all.filter((candidate) => candidate !== undefined);
  });
}

function presence(table: CatalogTable, column: CatalogColumn, profile: ColumnProfile): Candidate | undefined {
  if (column.notNull || profile.rows < minRows || profile.nullFraction > 0.05) return undefined;
  return {
    rule: { kind: "not-null", table: tableLabel(table), column: column.name },
    confidence: profile.nullFraction === 0 ? "high" : "medium",
    why: "nearly every row has a value, yet the column allows null",
  };
}

const namedAsKey = /(^|_)(id|key|code|number|no|email|e_mail|username|login|slug|uuid|guid|sku|isbn|token|ref|hash)$/i;

function uniqueness(table: CatalogTable, column: CatalogColumn, profile: ColumnProfile): Candidate | undefined {
  // Times and measures are often distinct by accident; names, codes and numbers are so on purpose.
  const keyLike = column.category === "S" || /^(smallint|integer|bigint|uuid|citext)$/.test(column.type);
  if (!keyLike || profile.rows < minRows || profile.distinct < 0.99 * profile.rows * (1 - profile.nullFraction)) {
    return undefined;
  }
  if (profile.nullFraction > 0.5 || averageLength(profile.values) > 60) return undefined;
  return {
    rule: { kind: "unique", table: tableLabel(table), columns: [column.name] },
    confidence: namedAsKey.test(column.name) ? "high" : "low",
    why: "nearly every value is distinct, and no unique index says so",
  };
}

// A category has few values, and each of them often.
function acceptedValues(table: CatalogTable, column: CatalogColumn, profile: ColumnProfile): Candidate | undefined {
  if (column.category !== "S" || profile.rows < 50) return undefined;
  const frequent = profile.common.filter(({ share }) => share >= 0.01).slice(0, 20);
  const covered = frequent.reduce((sum, { share }) => sum + share, 0);
  if (frequent.length === 0 || covered < 0.9 * (1 - profile.nullFraction) || frequent.length > 0.1 * profile.rows) {
    return undefined;
  }
  const values = profile.distinct <= 20 && profile.distinct === profile.common.length ? profile.common : frequent;
  // Rare spellings beside frequent ones are what the rule is to catch.
  const often = values.filter(({ share }) => share * profile.rows >= 5 || values === frequent);
  const kept = often.filter((one) => !often.some((other) => isMisspelling(one, other)));
  // One value and no other is no list, it is a column nobody uses yet.
  if (profile.distinct < 2) return undefined;
  return {
    rule: {
      kind: "accepted-values",
      table: tableLabel(table),
      column: column.name,
      values: kept.map(({ value }) => value).sort(),
    },
    confidence: kept.length === 1 ? "low" : kept.length <= 10 ? "high" : "medium",
    why: kept.length === 1 ? "one value makes up nearly all rows" : `${kept.length} values make up nearly all rows`,
  };
}

type Common = ColumnProfile["common"][number];

function isMisspelling(rare: Common, common: Common): boolean {
  const slips = Math.max(1, Math.floor(common.value.length / 8));
  return rare.share * 5 < common.share && rare.value.length > 2 && editDistance(rare.value, common.value) <= slips;
}

function form(table: CatalogTable, column: CatalogColumn, profile: ColumnProfile): Candidate | undefined {
  if (column.category !== "S") return undefined;
  const found = textForm(profile.values, 0.9);
  if (found === undefined) return undefined;
  return {
    rule: { kind: "pattern", table: tableLabel(table), column: column.name, pattern: found.pattern },
    confidence: "high",
    why: `nearly every value has the form of ${found.name}`,
  };
}

function sign(table: CatalogTable, column: CatalogColumn, profile: ColumnProfile): Candidate | undefined {
  if (column.category !== "N" || profile.values.length === 0 || column.type === "money") return undefined;
  // Nobody adds up keys.
  if (/(^|_)id$/i.test(column.name) || profile.rows < minRows) return undefined;
  const negative = profile.values.filter((value) => Number(value) < 0).length;
  if (negative > 0.05 * profile.values.length) return undefined;
  return {
    rule: { kind: "range", table: tableLabel(table), column: column.name, min: 0 },
    confidence: "medium",
    why: "hardly any value is negative",
  };
}

const orderedNames: readonly (readonly [RegExp, string])[] = [
  [/^created(_at|_on|_date)?$/, "updated$1"],
  [/^start(ed|s)?(_at|_on|_date|_time)?$/, "end$1$2"],
  [/^start(_at|_on|_date|_time)?$/, "end$1"],
  [/^valid_from$/, "valid_to"],
  [/^(.*)_from$/, "$1_to"],
  [/^(.*)_start$/, "$1_end"],
  [/^rental_date$/, "return_date"],
  [/^(order|ordered)(_date|_at)$/, "shipped$2"],
  [/^min_(.*)$/, "max_$1"],
];

// Two moments whose names say which comes first.
function pairCandidates(table: CatalogTable): readonly Candidate[] {
  return table.columns.flatMap((first) =>
    orderedNames.flatMap(([from, to]) => {
      if (!from.test(first.name)) return [];
      const second = table.columns.find(({ name }) => name === first.name.replace(from, to));
      if (second === undefined || second.category !== first.category || !"DN".includes(first.category)) return [];
      return [
        {
          rule: {
            kind: "expression" as const,
            table: tableLabel(table),
            expression: `${quoteIdentifier(first.name)} <= ${quoteIdentifier(second.name)}`,
            columns: [first.name, second.name],
          },
          confidence: "high" as const,
          why: "the names say which comes first",
        },
      ];
    }),
  );
}

function averageLength(values: readonly string[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value.length, 0) / values.length;
}
