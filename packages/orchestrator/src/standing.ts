import { evaluateBackups } from "@db/backup";
import type { Finding } from "@db/core";
import type { Orchestrator } from "./orchestrator.ts";

/**
 * What stands beside the monitor's own findings: the state of backups, migrations and data quality, from what is
 * recorded. Starts nothing and reads little; a part that cannot be read is left out, since the monitor tells why.
 */
export async function standingFindings(orchestrator: Orchestrator, signal?: AbortSignal): Promise<readonly Finding[]> {
  const parts = await Promise.allSettled([
    backupFindings(orchestrator, signal),
    migrationFindings(orchestrator),
    qualityFindings(orchestrator),
  ]);
  return parts.flatMap((part) => (part.status === "fulfilled" ? part.value : []));
}

async function backupFindings({ backups }: Orchestrator, signal: AbortSignal | undefined): Promise<readonly Finding[]> {
  return evaluateBackups(await backups.list({ signal }), {}, Date.now());
}

async function migrationFindings({ migrations }: Orchestrator): Promise<readonly Finding[]> {
  const { pending, findings } = await migrations.status();
  if (pending === 0) return findings;
  const title = `${pending} ${pending === 1 ? "migration is" : "migrations are"} pending`;
  return [...findings, { id: "DB-MIGRATIONS-PENDING", severity: "info", title, command: "db migrate plan" }];
}

async function qualityFindings({ audit }: Orchestrator): Promise<readonly Finding[]> {
  const last = await audit.last("validation.run");
  const { failed, rules, score } = last?.details ?? {};
  if (typeof failed !== "number" || failed === 0) return [];
  return [
    {
      id: "DB-DATA-RULES",
      severity: "warn",
      title: `${failed} of ${Number(rules)} data rules were broken at ${last!.at.slice(0, 16)}Z, score ${Number(score)} of 100`,
      command: "db validate",
    },
  ];
}
