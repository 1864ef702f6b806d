import type { Database, OnProgress, Queryable } from "@db/core";
import {
  analyzeIndexes,
  applyAndMeasure,
  applyRecommendation,
  type ApplyResult,
  type IndexPack,
  type IndexPackPlan,
  type IndexRecommendation,
  type IndexReport,
  type MeasuredQuery,
  planIndexPack,
  type TrialResult,
} from "@db/indexer";
import type { Application } from "./application.ts";
import type { AuditTrail } from "./audit.ts";
import { ReadOnlyError } from "./errors.ts";
import { mergeAdvice } from "./index-advice.ts";

export interface IndexCall {
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** Index analysis and application. What makes or drops an index is in the audit trail. */
export interface IndexService {
  /** The workload's advice and what is missing of the application's pack, as one list. */
  analyze(call?: IndexCall): Promise<IndexReport>;
  /** The application's pack against what is there; `undefined` without a pack. */
  planPack(): Promise<IndexPackPlan | undefined>;
  apply(recommendation: IndexRecommendation, call?: IndexCall & { readonly dryRun?: boolean }): Promise<ApplyResult>;
  /** Keeps the index only when it makes the query faster. */
  applyAndMeasure(
    recommendation: IndexRecommendation,
    query: MeasuredQuery & { readonly name: string },
    call?: IndexCall,
  ): Promise<TrialResult>;
}

export function createIndexService(options: {
  readonly db: Database;
  readonly replicas: readonly Queryable[];
  readonly application: Application | undefined;
  readonly audit: AuditTrail;
  readonly readOnly: boolean;
}): IndexService {
  const { db, replicas, application, audit, readOnly } = options;
  const pack: IndexPack | undefined = application?.indexPack;
  return {
    analyze: async (call = {}) => {
      const report = await analyzeIndexes(db, { replicas, ...call });
      const wanted = pack === undefined ? [] : (await planIndexPack(db, pack)).create;
      return { ...report, recommendations: mergeAdvice(report.recommendations, wanted) };
    },
    planPack: async () => (pack === undefined ? undefined : planIndexPack(db, pack)),
    async apply(recommendation, call = {}) {
      if (call.dryRun) return applyRecommendation(db, recommendation, call);
      if (readOnly) throw new ReadOnlyError("creating an index");
      return audit.run(
        "index.apply",
        () => applyRecommendation(db, recommendation, call),
        ({ index, outcome, bytes, durationMs }) => ({ index, outcome, bytes, durationMs }),
      );
    },
    async applyAndMeasure(recommendation, query, call = {}) {
      if (readOnly) throw new ReadOnlyError("creating an index");
      return audit.run(
        "index.trial",
        () => applyAndMeasure(db, recommendation, query, call),
        ({ index, outcome, before, after, improvement }) => ({
          index,
          outcome,
          improvement,
          query: query.name,
          beforeMs: before.medianMs,
          afterMs: after.medianMs,
        }),
      );
    },
  };
}
