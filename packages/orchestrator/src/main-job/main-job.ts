import {
  AbortedError,
  compareFindings,
  type Finding,
  messageOf,
  noProgress,
  type OnProgress,
  redactUrls,
} from "@db/core";
import type { Orchestrator } from "../orchestrator.ts";
import { monitorStep } from "./alert-step.ts";
import { backupStep, drillStep } from "./backup-step.ts";
import { connectStep } from "./connect-step.ts";
import { dataStep } from "./data-step.ts";
import { healthStep } from "./health-step.ts";
import { indexStep } from "./index-step.ts";
import { qualityStep } from "./quality-step.ts";
import { schemaStep } from "./schema-step.ts";
import type { Step, StepContext, StepReport } from "./step.ts";

/** A step that begins or has ended. */
export type StepEvent =
  | {
      readonly type: "started";
      readonly name: string;
      readonly title: string;
      readonly number: number;
      readonly of: number;
    }
  | { readonly type: "finished"; readonly report: StepReport; readonly number: number; readonly of: number };

export interface MainJobOptions {
  /** Change nothing in the database. Default: as the orchestrator was made. */
  readonly readOnly?: boolean;
  /** Multiple of the example data's default size. Default 1. */
  readonly scale?: number;
  readonly onStep?: (event: StepEvent) => void;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** What the main job did. */
export interface MainJobReport {
  /** ISO 8601. */
  readonly startedAt: string;
  readonly durationMs: number;
  /** False when a step failed. */
  readonly ok: boolean;
  readonly readOnly: boolean;
  readonly steps: readonly StepReport[];
  /** Of all steps, worst first. */
  readonly findings: readonly Finding[];
}

const configStep: Step = {
  name: "config",
  title: "Configuration",
  needs: [],
  async run({ orchestrator: { config, application } }) {
    const { profile, connection, pool, features } = config;
    const on = Object.entries(features).filter(([, enabled]) => enabled).length;
    return {
      detail: `${profile} profile, database ${connection?.database ?? "none"} at ${connection?.host ?? "nowhere"}:${connection?.port ?? 0}, pool ${pool.min} to ${pool.max}, ${on} of ${Object.keys(features).length} features on`,
      facts: {
        profile,
        host: connection?.host,
        port: connection?.port,
        database: connection?.database,
        application: application?.name ?? null,
        features,
      },
    };
  },
};

const auditStep: Step = {
  name: "audit",
  title: "Audit trail",
  needs: [],
  async run({ orchestrator: { audit } }) {
    const entries = await audit.entries();
    return { detail: `${entries.length} operations recorded, the chain holds`, facts: { entries: entries.length } };
  },
};

/** The steps in the order in which they stand on each other. */
export const mainJobSteps: readonly Step[] = Object.freeze([
  configStep,
  connectStep,
  schemaStep,
  dataStep,
  healthStep,
  backupStep,
  drillStep,
  qualityStep,
  indexStep,
  monitorStep,
  auditStep,
]);

/**
 * Does everything once, for real, and tells it: configuration, connections, migrations, data, health, a backup and
 * the restore that proves it, validation, an index measured, an alert fired and cleared, the audit trail. Safe to
 * repeat: what was done before is found and not done again. A failed step is reported and the rest goes on, except
 * what stands on it.
 * @throws {AbortedError} when `signal` fires
 */
export async function runMainJob(orchestrator: Orchestrator, options: MainJobOptions = {}): Promise<MainJobReport> {
  const startedAt = Date.now();
  const done = new Map<string, StepReport>();
  const context: StepContext = {
    orchestrator,
    readOnly: options.readOnly ?? orchestrator.readOnly,
    scale: options.scale ?? 1,
    onProgress: options.onProgress ?? noProgress,
    signal: options.signal ?? new AbortController().signal,
    done,
  };
  for (const [index, step] of mainJobSteps.entries()) {
    const place = { number: index + 1, of: mainJobSteps.length };
    options.onStep?.({ type: "started", name: step.name, title: step.title, ...place });
    const report = await runStep(step, context);
    if (context.signal.aborted)
      throw new AbortedError(`stopped in the step “${step.title}”`, {
        cause: context.signal.reason,
        hint: "Run it again: what was done is kept.",
      });
    done.set(step.name, report);
    options.onStep?.({ type: "finished", report, ...place });
  }
  const steps = [...done.values()];
  return {
    startedAt: new Date(startedAt).toISOString(),
    durationMs: Date.now() - startedAt,
    ok: steps.every(({ status }) => status !== "failed"),
    readOnly: context.readOnly,
    steps,
    findings: steps.flatMap(({ findings }) => findings).toSorted(compareFindings),
  };
}

async function runStep(step: Step, context: StepContext): Promise<StepReport> {
  const { name, title } = step;
  const blank = { name, title, hint: null, facts: {}, findings: [], durationMs: 0 };
  const missing = step.needs.find(
    (needed) => context.done.get(needed)?.status === "failed" || context.done.get(needed)?.facts["blocked"] === true,
  );
  if (missing !== undefined) {
    return {
      ...blank,
      status: "skipped",
      detail: `needs “${context.done.get(missing)!.title}”`,
      facts: { blocked: true },
    };
  }
  const startedAt = performance.now();
  try {
    const outcome = await step.run(context);
    const { status = "done", detail, facts = {}, findings = [] } = outcome;
    return {
      name,
      title: outcome.title ?? title,
      status,
      detail,
      hint: null,
      facts,
      findings,
      durationMs: performance.now() - startedAt,
    };
  } catch (error) {
    const hint = (error as { hint?: unknown }).hint;
    return {
      ...blank,
      status: "failed",
      detail: redactUrls(messageOf(error)),
      hint: typeof hint === "string" ? hint : null,
      facts: { code: (error as { code?: unknown }).code ?? null },
      durationMs: performance.now() - startedAt,
    };
  }
}
