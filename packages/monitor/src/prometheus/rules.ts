import type { AlertLevel, AlertRule } from "../alerts/rule.ts";
import { defaultRules } from "../alerts/rules.ts";
import { toPromql } from "./promql.ts";

/** The same rules for a Prometheus server, as the YAML of one rule file. */
export function renderPrometheusRules(rules: readonly AlertRule[] = defaultRules): string {
  const lines = ["groups:", "  - name: postgresql", "    rules:"];
  for (const rule of rules) for (const level of rule.levels) lines.push(...ruleLines(rule, level));
  return `${lines.join("\n")}\n`;
}

function ruleLines(rule: AlertRule, level: AlertLevel): readonly string[] {
  const operator = rule.fires === "above" ? ">" : "<";
  const templated = rule.title
    .replaceAll("{value}", `{{ $value | ${rule.unit === "s" ? "humanizeDuration" : "humanize"} }}`)
    .replaceAll(/(?<!\{)\{(\w+)\}(?!\})/g, "{{ $labels.$1 }}");
  return [
    `      - alert: ${rule.name}`,
    `        expr: ${quote(`${toPromql(rule.expression)} ${operator} ${level.threshold}`)}`,
    ...(level.forMs ? [`        for: ${level.forMs / 1000}s`] : []),
    "        labels:",
    `          severity: ${level.severity}`,
    `          finding: ${rule.finding}`,
    "        annotations:",
    `          summary: ${quote(templated)}`,
    `          description: ${quote(rule.hint)}`,
  ];
}

// A YAML string in double quotes is a JSON string.
const quote = (text: string): string => JSON.stringify(text);
