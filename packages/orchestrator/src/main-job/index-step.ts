import { formatDuration } from "@db/core";
import type { Step } from "./step.ts";

export const indexStep: Step = {
  name: "indexes",
  title: "Indexes analysed, one applied and measured",
  needs: ["connect", "schema", "data"],
  async run({ orchestrator, readOnly, onProgress, signal, done }) {
    const { indexes, application, audit, pool } = orchestrator;
    const writable = !readOnly && done.get("connect")?.facts["standby"] !== true;
    const query = application?.demonstrationQueries[0];
    // The queries that the pages ask are what the advice is about: they have to have run to be seen.
    if (writable) {
      for (const each of application?.demonstrationQueries ?? [])
        await pool.query(each.sql, [...each.values], { signal });
    }
    const report = await indexes.analyze({ onProgress, signal });
    const { recommendations, unused, duplicates, invalid, findings } = report;
    const summary = `${recommendations.length} recommended, ${unused.length} unused, ${duplicates.length} duplicate, ${invalid.length} invalid`;
    const facts = {
      recommendations: recommendations.slice(0, 20),
      unused: unused.length,
      duplicates: duplicates.length,
      invalid: invalid.length,
    };
    if (!writable) return { detail: `${summary}; apply one with: db optimize apply`, facts, findings };
    // One trial is a demonstration; the rest of the advice is the operator's to take.
    const earlier = await audit.last("index.trial");
    const candidate = earlier ? undefined : (await indexes.planPack())?.create[0];
    if (!candidate || !query) {
      const before = earlier ? `; ${String(earlier.details["index"])} was tried on ${earlier.at.slice(0, 10)}` : "";
      return { detail: `${summary}${before}`, facts: { ...facts, lastApplied: earlier?.details ?? null }, findings };
    }
    const trial = await indexes.applyAndMeasure(candidate, query, { onProgress, signal });
    const change = `${trial.index}: “${query.name}” from ${formatDuration(trial.before.medianMs)} to ${formatDuration(trial.after.medianMs)}, ${trial.outcome}`;
    return {
      detail: `${summary}; ${change}`,
      facts: {
        ...facts,
        lastApplied: {
          index: trial.index,
          query: query.name,
          beforeMs: trial.before.medianMs,
          afterMs: trial.after.medianMs,
          improvement: trial.improvement,
          outcome: trial.outcome,
        },
      },
      findings,
    };
  },
};
