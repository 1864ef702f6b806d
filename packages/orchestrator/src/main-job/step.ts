import type { Finding, OnProgress } from "@db/core";
import type { Orchestrator } from "../orchestrator.ts";

/** What a step did, in one line and in facts. */
export interface StepOutcome {
  /** Default `done`. */
  readonly status?: "done" | "skipped";
  /** What was done, where that is less or more than the step's title says. */
  readonly title?: string;
  /** One line: what was done, with numbers. */
  readonly detail: string;
  /** The same as data. */
  readonly facts?: Readonly<Record<string, unknown>>;
  readonly findings?: readonly Finding[];
}

/** A finished step. */
export interface StepReport {
  readonly name: string;
  readonly title: string;
  readonly status: "done" | "skipped" | "failed";
  readonly detail: string;
  /** What an operator can do about a failed step. */
  readonly hint: string | null;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly findings: readonly Finding[];
  readonly durationMs: number;
}

/** What steps share. */
export interface StepContext {
  readonly orchestrator: Orchestrator;
  /** Looks and tells; changes nothing in the database. */
  readonly readOnly: boolean;
  /** Multiple of the example data's default size. */
  readonly scale: number;
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal;
  /** Reports of the steps before, by name. */
  readonly done: ReadonlyMap<string, StepReport>;
}

/** One part of the main job. */
export interface Step {
  readonly name: string;
  readonly title: string;
  /** Steps without which this one has no ground; it is skipped when one of them failed. */
  readonly needs: readonly string[];
  readonly run: (context: StepContext) => Promise<StepOutcome>;
}
