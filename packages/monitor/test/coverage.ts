import { metricsFor, samplesOf, type Snapshot } from "@db/monitor";
import { fleeting } from "./scenario.ts";

/** The metrics a snapshot of the scenario should hold and does not, as `server metric`. */
export function missingMetrics(snapshot: Snapshot): readonly string[] {
  return snapshot.servers.flatMap((server) => {
    const role = server.role === "standby" ? "standby" : "primary";
    return metricsFor(Math.floor(server.versionNum / 10_000), role)
      .filter(({ collector, name }) => !elsewhere.has(collector) && !fleeting.has(name))
      .filter(({ name }) => !(role === "standby" && ofPrimaryObjects.test(name)))
      .filter(({ name }) => !samplesOf(snapshot, name).some(({ labels }) => labels["server"] === server.name))
      .map(({ name }) => `${server.name} ${name}`);
  });
}

/** Collectors of what is not read from the server, or only after days. */
export const elsewhere: ReadonlySet<string> = new Set([
  "pool",
  "host",
  "process",
  "forecast",
  "query_regression",
  "wait_sampling",
]);

// The standby of the scenario feeds no other standby, has no slots, archives nothing and was never reset.
const ofPrimaryObjects =
  /^pg_(replication_slots_|stat_replication_(?!standbys)|stat_archiver_last|stat_(database_stats_reset|subscription_))/;
