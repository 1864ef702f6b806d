import type { Step } from "./step.ts";

export const qualityStep: Step = {
  name: "quality",
  title: "Data validated",
  needs: ["connect"],
  async run({ orchestrator, onProgress, signal, done }) {
    const { validation } = orchestrator;
    const rules = await validation.rules();
    if (rules.length === 0) {
      const { suggestions, tables } = await validation.suggest({ onProgress, signal });
      const broken = suggestions.filter(({ holds }) => !holds);
      return {
        detail: `no rules yet; ${suggestions.length} suggested from ${tables} tables, ${broken.length} of them broken by some rows`,
        facts: { suggestions: suggestions.slice(0, 50) },
        findings: broken.slice(0, 20).map(({ rule, violations, why }) => ({
          id: "VALIDATE-SUGGESTED-01",
          severity: "info" as const,
          title: `${violations.toLocaleString("en")} rows of ${rule.table} break a rule that the others follow`,
          subject: `${rule.table}:${rule.kind}`,
          hint: why,
          command: "db validate suggest",
        })),
      };
    }
    const schema = done.get("schema");
    const pending = schema?.facts["pending"];
    if (schema?.status === "skipped" && typeof pending === "number" && pending > 0) {
      return {
        status: "skipped",
        detail: `${rules.length === 1 ? "1 rule waits" : `${rules.length} rules wait`} for the schema: pending migrations ${pending}`,
      };
    }
    const report = await validation.run({ onProgress, signal });
    return {
      detail: `score ${report.score ?? "unknown"} of 100: ${rules.length} rules, ${report.counts.failed} broken`,
      facts: { score: report.score, rules: rules.length, failed: report.counts.failed, counts: report.counts },
      findings: report.findings,
    };
  },
};
