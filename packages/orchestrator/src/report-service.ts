import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { compareFindings } from "@db/core";
import { buildReport, type MonitorReport, renderReportHtml } from "@db/monitor";
import { NotConfiguredError } from "./errors.ts";
import type { Orchestrator } from "./orchestrator.ts";
import { standingFindings } from "./standing.ts";

/** Reports over everything: what the monitor sees, and the state of backups, migrations and data. */
export interface ReportService {
  /** Collects anew and puts it together. Changes nothing. */
  make(signal?: AbortSignal): Promise<MonitorReport>;
  /**
   * Makes one and keeps it as a page and as JSON, `<kind>-<date>` in the folder of reports; it is in the audit trail.
   * @returns the page's path
   * @throws {NotConfiguredError} without a folder
   */
  write(kind: "daily" | "weekly", signal?: AbortSignal): Promise<string>;
}

export function createReportService(orchestrator: Orchestrator, directory: string | undefined): ReportService {
  const { audit } = orchestrator;
  const service: ReportService = {
    async make(signal) {
      const { monitor, application, config } = orchestrator;
      const snapshot = await monitor.collect({ ...(signal && { signal }), force: true });
      const standing = await standingFindings(orchestrator, signal);
      return buildReport({
        snapshot,
        title: application?.title ?? config.connection?.database ?? "PostgreSQL",
        alerts: monitor.alertHistory(),
        findings: [...monitor.findings(), ...standing].toSorted(compareFindings),
      });
    },
    write: (kind, signal) =>
      audit.run(
        "report.write",
        async () => {
          if (directory === undefined)
            throw new NotConfiguredError("no folder of reports is named", { hint: "Give reportsDirectory." });
          const report = await service.make(signal);
          const name = join(directory, `${kind}-${report.generatedAt.slice(0, 10)}`);
          await mkdir(directory, { recursive: true, mode: 0o700 });
          await replace(`${name}.json`, JSON.stringify(report));
          await replace(`${name}.html`, renderReportHtml(report));
          return `${name}.html`;
        },
        () => ({ kind }),
      ),
  };
  return service;
}

// A reader sees the report of before or this one, never half of it.
async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600 });
  await rename(`${file}.new`, file);
}
