import type { ResolvedApplyOptions } from "./options.ts";
import type { MigrationPlan } from "./plan.ts";
import type { MigrationFailure, MigrationReport, MigrationRun } from "./report.ts";
import { newRunId } from "./run-context.ts";
import { round } from "./statement-run.ts";

/** Grows while a plan is applied; `finish` takes what is there. */
export class ReportBuilder {
  readonly runId: string = newRunId();
  adopted: readonly string[] = [];
  readonly applied: MigrationRun[] = [];
  skipped: readonly string[] = [];
  remaining: readonly string[] = [];
  failed: MigrationFailure | null = null;
  lockWaitMs = 0;
  catalogFingerprint: string | null = null;
  readonly #plan: MigrationPlan;
  readonly #options: ResolvedApplyOptions;
  readonly #startedAt: number;
  readonly #began: number = performance.now();

  constructor(plan: MigrationPlan, options: ResolvedApplyOptions) {
    this.#plan = plan;
    this.#options = options;
    this.#startedAt = options.clock.now();
  }

  finish(): MigrationReport {
    return {
      direction: this.#plan.direction,
      execute: this.#options.execute,
      runId: this.runId,
      startedAt: new Date(this.#startedAt).toISOString(),
      durationMs: round(performance.now() - this.#began),
      lockWaitMs: this.lockWaitMs,
      adopted: this.adopted,
      applied: this.applied,
      skipped: this.skipped,
      failed: this.failed,
      remaining: this.remaining,
      catalogFingerprint: this.catalogFingerprint,
    };
  }
}
