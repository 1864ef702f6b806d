import type { Finding } from "@db/core";
import type { MainJobReport } from "@db/orchestrator";

const ownCard: ReadonlySet<string> = new Set(["quality", "indexes", "schema", "monitor"]);

/**
 * What the last main job found, in a line each: the data rules, the index analysis and the lint have cards of their
 * own for the detail, and the monitor speaks for itself.
 */
export function stepSummaries(mainJob: MainJobReport | undefined, readOnly: boolean): readonly Finding[] {
  const found: Finding[] = [];
  for (const { name, title, status, detail, hint, findings } of mainJob?.steps ?? []) {
    if (status !== "failed") {
      if (!ownCard.has(name)) found.push(...findings);
      continue;
    }
    const failed: Finding = { id: "DB-STEP-FAILED", severity: "critical", subject: name, title: `${title}: ${detail}` };
    found.push(hint === null ? failed : { ...failed, hint });
  }
  const quality = factsOf(mainJob, "quality");
  const broken = quality["failed"];
  if (typeof broken === "number" && broken > 0) {
    found.push({
      id: "DB-DATA-RULES",
      severity: "warn",
      title: `${broken} of ${Number(quality["rules"])} data rules are broken, score ${Number(quality["score"])} of 100`,
      hint: "Which rows break them, and what to do about each, stands below and in the command's answer.",
      command: "db validate",
    });
  }
  const advice = factsOf(mainJob, "indexes")["recommendations"];
  if (Array.isArray(advice) && advice.length > 0) {
    found.push({
      id: "DB-INDEX-ADVICE",
      severity: "info",
      title: `${advice.length} ${advice.length === 1 ? "index" : "indexes"} would make statements of this workload faster`,
      hint: "Each is made without blocking writes and can be taken back.",
      command: "db optimize",
    });
  }
  const pending = factsOf(mainJob, "schema")["pending"];
  if (readOnly && typeof pending === "number" && pending > 0) {
    const title = pending === 1 ? "1 migration is pending" : `${pending} migrations are pending`;
    found.push({ id: "DB-MIGRATIONS-PENDING", severity: "info", title, command: "db migrate plan" });
  }
  return found;
}

/** The findings of one step of the last main job, as they are. */
export function stepFindings(mainJob: MainJobReport | undefined, name: string): readonly Finding[] {
  return mainJob?.steps.find((step) => step.name === name)?.findings ?? [];
}

function factsOf(mainJob: MainJobReport | undefined, name: string): Readonly<Record<string, unknown>> {
  return mainJob?.steps.find((step) => step.name === name)?.facts ?? {};
}
