import { type Finding, formatBytes } from "@db/core";
import type { Step, StepContext } from "./step.ts";

const plainBackup: Finding = {
  id: "DB-BACKUP-PLAIN",
  severity: "warn",
  title: "the backup is not encrypted",
  hint: "It holds the whole cluster: set BACKUP_ENCRYPTION_KEY (openssl rand -hex 32), keep the key elsewhere, and use a new repository.",
};

const freshMs = 24 * 3_600_000;

export const backupStep: Step = {
  name: "backup",
  title: "Full physical backup",
  needs: ["connect", "data"],
  async run({ orchestrator, readOnly, onProgress, signal, done }) {
    if (readOnly) return { status: "skipped", detail: `a backup is taken when asked for: db backup run` };
    const { backups } = orchestrator;
    const newest = (await backups.list({ signal }))[0];
    if (newest && !changedSince(done) && Date.now() - Date.parse(newest.stoppedAt) < freshMs) {
      return { status: "skipped", detail: `${newest.label} is from the last 24 hours`, facts: { label: newest.label } };
    }
    const report = await backups.run({ onProgress, signal });
    return {
      detail: `${report.label}: ${formatBytes(report.bytes)} stored as ${formatBytes(report.storedBytes)}${report.encrypted ? ", encrypted" : ", not encrypted"}`,
      facts: { label: report.label, bytes: report.bytes, storedBytes: report.storedBytes, encrypted: report.encrypted },
      findings: report.encrypted ? report.findings : [...report.findings, plainBackup],
    };
  },
};

export const drillStep: Step = {
  name: "drill",
  title: "Backup restored and started",
  needs: ["backup"],
  async run({ orchestrator, readOnly, onProgress, signal, done }) {
    if (readOnly) return { status: "skipped", detail: "there is no backup of this run: db restore drill proves one" };
    const label = String(done.get("backup")!.facts["label"]);
    const { backups, audit } = orchestrator;
    const last = await audit.last("backup.drill");
    if (last?.details["label"] === label && last.details["ok"] === true) {
      return { status: "skipped", detail: `${label} was proved at ${last.at}`, facts: { ...last.details } };
    }
    const report = await backups.drill({ label, compare: done.get("backup")!.status === "done", onProgress, signal });
    const { comparison } = report;
    if (!report.ok || comparison?.equal === false) {
      const different =
        comparison?.tables.filter(({ equal }) => !equal).map(({ schema, table }) => `${schema}.${table}`) ?? [];
      throw new Error(
        `the restored cluster is not the same: ${different.join(", ") || report.findings.map(({ title }) => title).join("; ")}`,
      );
    }
    const compared = comparison
      ? `${comparison.tables.length} tables with ${comparison.rows.toLocaleString("en")} rows equal`
      : "started and answered";
    return {
      ...(comparison ? { title: "Backup restored, started and compared" } : {}),
      detail: `${label}: ${compared}`,
      facts: { label, tables: comparison?.tables.length ?? 0, rows: comparison?.rows ?? 0 },
      findings: report.findings,
    };
  },
};

function changedSince(done: StepContext["done"]): boolean {
  const applied = done.get("schema")?.facts["applied"];
  return (Array.isArray(applied) && applied.length > 0) || done.get("data")?.facts["loaded"] === true;
}
