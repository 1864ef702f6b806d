import { formatDuration } from "@db/core";
import type { Step } from "./step.ts";

export const indexStep: Step = {
  name: "indexes",
  title: "Indexes analysed",
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
    // One trial is a demonstration; the rest of the advice is the operator's to take.
    const earlier = await audit.last("index.trial");
    const candidate = writable && !earlier ? (await indexes.planPack())?.create[0] : undefined;
    const trial =
      candidate && query ? await indexes.applyAndMeasure(candidate, query, { onProgress, signal }) : undefined;
    const { recommendations, unused, duplicates, invalid, findings } = await indexes.analyze({ onProgress, signal });
    const facts = {
      recommendations: recommendations.slice(0, 20),
      unused: unused.length,
      duplicates: duplicates.length,
      invalid: invalid.length,
    };
    const summary = `${recommendations.length} recommended, ${unused.length} unused, ${duplicates.length} duplicate, ${invalid.length} invalid`;
    if (trial && query) {
      const change = `“${query.name}” from ${formatDuration(trial.before.medianMs)} to ${formatDuration(trial.after.medianMs)}`;
      const title = "Indexes analysed, one applied and measured";
      return { title, detail: `${trial.index} took ${change}, ${trial.outcome}; ${summary}`, facts, findings };
    }
    if (!writable) return { detail: `${summary}; apply one with: db optimize apply`, facts, findings };
    const before = earlier ? `; ${String(earlier.details["index"])} was tried on ${earlier.at.slice(0, 10)}` : "";
    return { detail: `${summary}${before}`, facts, findings };
  },
};
