import { availabilityRules } from "./catalogue/availability.ts";
import { maintenanceRules } from "./catalogue/maintenance.ts";
import { processRules } from "./catalogue/process.ts";
import { replicationRules } from "./catalogue/replication.ts";
import { sessionsRules } from "./catalogue/sessions.ts";
import type { AlertRule } from "./rule.ts";

/**
 * The rules a server is watched with. Thresholds are those at which people who run PostgreSQL act, from the tools
 * they run it with; each can be overridden per server.
 */
export const defaultRules: readonly AlertRule[] = Object.freeze([
  ...availabilityRules,
  ...sessionsRules,
  ...maintenanceRules,
  ...replicationRules,
  ...processRules,
]);
