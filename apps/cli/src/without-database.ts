import type { Orchestrator } from "@db/orchestrator";
import type { Context } from "./context.ts";

/** A repository is read and kept in order without its database: restoring is for when that is gone. */
export async function openWithoutDatabase(context: Context): Promise<Orchestrator> {
  return context.orchestrator({ config: await context.config({ requireConnection: false }) });
}
