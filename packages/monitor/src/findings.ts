import { compareFindings, type Finding, type Severity } from "@db/core";
import type { Alert } from "./alerts/event.ts";
import type { AlertSeverity } from "./alerts/rule.ts";
import type { Silence } from "./alerts/silence.ts";
import type { Check } from "./checks/check.ts";
import { constraints, primaryKeys } from "./checks/design.ts";
import { memory, safety, timeouts, visibility } from "./checks/setup.ts";
import { cache, vacuum } from "./checks/workload.ts";
import { type Snapshot, valueOf } from "./snapshot.ts";

const checks: readonly Check[] = [visibility, safety, memory, timeouts, primaryKeys, constraints, vacuum, cache];

/** What a snapshot alone suggests to change: design, settings, maintenance. Worst first. Pure. */
export function recommend(snapshot: Snapshot): readonly Finding[] {
  return snapshot.servers
    .filter(({ role }) => role !== "unknown")
    .flatMap((server) =>
      checks.flatMap((check) =>
        check({
          server,
          snapshot,
          value: (metric) => valueOf(snapshot, metric, { server: server.name }),
          setting: (name) => server.facts.settings?.[name]?.value,
        }),
      ),
    )
    .toSorted(compareFindings);
}

const severities: Readonly<Record<AlertSeverity, Severity>> = { page: "critical", warn: "warn", info: "info" };

/** A finding that an alert is behind. */
export interface AlertFinding extends Finding {
  /** Id of the alert; absent where it comes from no rule. */
  readonly alertId?: string;
  /** Id of the silence that keeps it quiet; such a finding is a note. */
  readonly silenceId?: string;
}

/**
 * An alert as a finding. One that is about to fire is a finding too: what was observed is a fact already. One that
 * somebody silenced presses nobody.
 */
export function toFinding(alert: Alert, id: string): AlertFinding {
  const { silence } = alert;
  const own = Object.entries(alert.labels)
    .filter(([name]) => name !== "server")
    .map(([, value]) => value)
    .filter(Boolean);
  return {
    id,
    severity: silence ? "info" : severities[alert.severity],
    title: silence ? `Silenced: ${alert.title}` : alert.title,
    subject: [alert.server, ...own].filter(Boolean).join("/"),
    observed: alert.value,
    threshold: alert.threshold,
    ...(alert.unit !== undefined && { unit: alert.unit }),
    since: alert.since,
    hint: silence ? `${saidOf(silence)} ${alert.hint}` : alert.hint,
    alertId: alert.id,
    ...(silence && { silenceId: silence.id }),
    ...(alert.command !== undefined && { command: alert.command }),
  };
}

function saidOf({ by, reason, until, endsWithAlert }: Silence): string {
  const end = `${until.slice(0, 16).replace("T", " ")} UTC`;
  return `By ${by}, ${endsWithAlert ? `until it ends or ${end}` : `until ${end}`}: ${reason.replace(/[.\s]*$/, "")}.`;
}
