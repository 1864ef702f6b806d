import type { Finding, HealthStatus } from "@db/core";

/** One line and an exit code as monitoring plugins give them: 0 OK, 1 WARNING, 2 CRITICAL. */
export interface NagiosResult {
  readonly line: string;
  readonly exitCode: 0 | 1 | 2;
}

/**
 * Health in the form of a Nagios plugin. What is unknown (3) is what could not be asked: the caller's error.
 * @see https://www.monitoring-plugins.org/doc/guidelines.html
 */
export function nagiosText(status: HealthStatus, checks: number, findings: readonly Finding[]): NagiosResult {
  const count = (severity: Finding["severity"]): number => findings.filter((each) => each.severity === severity).length;
  const critical = count("critical");
  const warnings = count("warn");
  const exitCode = status === "fail" || critical > 0 ? 2 : status === "warn" || warnings > 0 ? 1 : 0;
  const word = (["OK", "WARNING", "CRITICAL"] as const)[exitCode];
  // A bar would begin the figures.
  const worst = findings.find(({ severity }) => severity !== "info")?.title.replaceAll("|", "/");
  const summary = `${checks} checks, ${critical} critical, ${warnings} warnings${worst === undefined ? "" : `: ${worst}`}`;
  return {
    line: `POSTGRES ${word} - ${summary} | checks=${checks} critical=${critical} warnings=${warnings}`,
    exitCode,
  };
}
