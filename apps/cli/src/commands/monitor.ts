import { defaultRules, renderPrometheus } from "@db/orchestrator";
import type { CommandResult } from "../command.ts";
import type { Context } from "../context.ts";
import { textTable } from "../text-table.ts";

/** `db monitor scrape` */
export async function scrape(context: Context): Promise<CommandResult> {
  const { monitor } = await context.orchestrator({ readOnly: true });
  const snapshot = await monitor.collect({ signal: context.signal, force: true });
  return { data: snapshot, text: renderPrometheus(snapshot).trimEnd() };
}

/** `db monitor alerts` */
export async function alerts(context: Context): Promise<CommandResult> {
  const { monitor } = await context.orchestrator({ readOnly: true });
  await monitor.collect({ signal: context.signal, force: true });
  const current = monitor.alerts();
  const rows = defaultRules.map(({ name, levels }) => {
    const state = current.find(({ rule }) => rule === name)?.state ?? "quiet";
    return [name, state, levels.map(({ severity, threshold }) => `${severity} ${threshold}`).join(", ")];
  });
  const findings = monitor.findings().filter(({ severity }) => severity !== "info");
  return {
    data: { alerts: current, rules: defaultRules.length },
    text: textTable(["rule", "state", "limits"], rows),
    findings,
  };
}
