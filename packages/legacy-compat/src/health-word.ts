import type { HealthStatus } from "@db/core";

/** The words that the old health reports used. */
export type HealthWord = "healthy" | "degraded" | "unhealthy";

export function healthWord(status: HealthStatus): HealthWord {
  return status === "pass" ? "healthy" : status === "warn" ? "degraded" : "unhealthy";
}
