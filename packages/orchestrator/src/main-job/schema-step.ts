import { existsSync } from "node:fs";
import type { Finding } from "@db/core";
import type { Step } from "./step.ts";

export const schemaStep: Step = {
  name: "schema",
  title: "Schema migrations",
  needs: ["connect"],
  async run({ orchestrator, readOnly, onProgress, signal, done }) {
    const { migrations } = orchestrator;
    if (!existsSync(migrations.directory)) {
      return { status: "skipped", detail: `no migrations folder at ${migrations.directory}` };
    }
    const plan = await migrations.plan();
    const findings: Finding[] = [...plan.findings];
    const statements = plan.migrations.reduce((sum, { statements: each }) => sum + each.length, 0);
    const pending = plan.migrations.map(({ id }) => id);
    if (pending.length === 0 && plan.adopt.length === 0) {
      return { detail: `nothing pending, ${plan.history.known.length} applied`, facts: { pending: 0 }, findings };
    }
    const told = `${counted(statements, "statement")}, ${counted(plan.findings.length, "lint finding")}`;
    if (readOnly || done.get("connect")?.facts["standby"] === true) {
      return {
        status: "skipped",
        detail: `${pending.length} pending with ${told}; apply with: db migrate up`,
        facts: { pending: pending.length },
        findings,
      };
    }
    const report = await migrations.apply(plan, { onProgress, signal });
    return {
      detail: `${report.applied.length} applied with ${told}`,
      facts: { applied: report.applied.map(({ id }) => id), statements },
      findings,
    };
  },
};

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
