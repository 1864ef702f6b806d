import type { Finding } from "@db/core";
import type { DuplicateIndex, ForeignKeyWithoutIndex, InvalidIndexFacts, UnusedIndex } from "./audit.ts";
import type { IndexDefinition } from "./definition.ts";

/** A statement an index would help. */
export interface HelpedStatement {
  readonly id: string;
  /** Normalised text, at most 500 characters. */
  readonly text: string;
  readonly calls: number;
  readonly totalMs: number;
  /** Planner's units for one average call. */
  readonly costBefore: number;
  readonly costAfter: number;
}

/** An index worth making. */
export interface IndexRecommendation {
  /** The name of the index. */
  readonly id: string;
  readonly definition: IndexDefinition;
  /** Statements in order: extensions it needs, then `CREATE INDEX CONCURRENTLY`. */
  readonly ddl: readonly string[];
  readonly undo: string;
  /** What it answers, in words. */
  readonly why: string;
  readonly origin: "workload" | "foreign-key" | "pack";
  /** The statements it helps, costliest first; empty when it comes from a foreign key or a pack. */
  readonly helps: readonly HelpedStatement[];
  /** Share of the helped statements' cost it saves, 0 to 1; null when unknown. */
  readonly gain: number | null;
  /** `hypopg`: the planner's word; `model`: ours, from statistics and the plan as it is. */
  readonly engine: "hypopg" | "model" | null;
  readonly estimatedBytes: number | null;
  readonly confidence: "high" | "medium" | "low";
}

/** A statement nothing could be said about. */
export interface UncoveredStatement {
  readonly id: string;
  readonly reason: string;
}

/** What the analysis found. Plain data: `--json` prints it as it is. */
export interface IndexReport {
  /** The most time saved first, guesses counting for less. */
  readonly recommendations: readonly IndexRecommendation[];
  readonly unused: readonly UnusedIndex[];
  readonly duplicates: readonly DuplicateIndex[];
  readonly invalid: readonly InvalidIndexFacts[];
  readonly foreignKeysWithoutIndex: readonly ForeignKeyWithoutIndex[];
  /** The same as findings, worst first. */
  readonly findings: readonly Finding[];
  readonly workload: {
    readonly source: "pg_stat_statements" | "given" | "none";
    readonly reason: string | null;
    readonly statements: number;
    readonly totalMs: number;
    readonly uncovered: readonly UncoveredStatement[];
  };
  readonly tables: number;
  readonly indexes: number;
  /** ISO 8601. */
  readonly statisticsSince: string | null;
  readonly startedAt: string;
  readonly durationMs: number;
}
