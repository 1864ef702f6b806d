import type { Job } from "./jobs.ts";
import type { Orchestrator } from "./orchestrator.ts";

/**
 * The jobs that a configuration schedules. Each goes through its service, so each is in the audit trail.
 * @param reports whether there is a folder that reports go to
 */
export function scheduledJobs(orchestrator: Orchestrator, reports: boolean): readonly Job[] {
  const { config } = orchestrator;
  const jobs: Job[] = [];
  const { full } = config.backup.schedule;
  if (full !== false) {
    jobs.push({
      name: "backup",
      schedule: full,
      run: async (signal) => {
        await orchestrator.backups.run({ signal });
        await orchestrator.backups.expire(await orchestrator.backups.planExpiration({ signal }), { signal });
      },
    });
  }
  if (config.features.validation && config.validate.hours.length > 0) {
    jobs.push({
      name: "validation",
      schedule: atHours(config.validate.hours),
      run: async (signal) => void (await orchestrator.validation.run({ signal })),
    });
  }
  // Looks and reports; making an index is never done behind anybody's back.
  if (config.features.indexOptimization && config.indexer.hours.length > 0) {
    jobs.push({
      name: "indexes",
      schedule: atHours(config.indexer.hours),
      run: async (signal) => void (await orchestrator.indexes.analyze({ signal })),
    });
  }
  const { dailyReport, weeklyReport } = config.monitor.schedule;
  for (const [kind, schedule] of [
    ["daily", dailyReport],
    ["weekly", weeklyReport],
  ] as const) {
    if (!reports || !config.features.monitoring || schedule === false) continue;
    jobs.push({
      name: `report-${kind}`,
      schedule,
      run: async (signal) => void (await orchestrator.reports.write(kind, signal)),
    });
  }
  return jobs;
}

function atHours(hours: readonly number[]): string {
  return `0 ${hours.join(",")} * * *`;
}
