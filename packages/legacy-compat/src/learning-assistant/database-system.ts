import { adoptDefaults, backgroundServices, processHost, startHost } from "../host.ts";
import { recordUse } from "../use.ts";
import { learningDefaults } from "./defaults.ts";
import { checkHealth, type DatabaseHealthMetrics } from "./health-monitor.ts";

/**
 * Connects, starts monitoring where the configuration has it on, and checks the health. A second call does nothing
 * but check.
 * @returns what the check found
 * @throws {ServiceStartError} when the primary cannot be used
 */
export async function initializeDatabaseSystem(): Promise<DatabaseHealthMetrics> {
  recordUse("initializeDatabaseSystem");
  adoptDefaults(learningDefaults);
  await startHost(processHost, ["pool"]);
  await startHost(processHost, backgroundServices(processHost.orchestrator));
  return await checkHealth();
}
