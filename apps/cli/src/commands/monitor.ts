import {
  buildGrafanaDashboard,
  defaultRules,
  metricRegistry,
  renderPrometheus,
  renderPrometheusRules,
} from "@db/orchestrator";
import { type CommandResult, type Input, text } from "../command.ts";
import type { Context } from "../context.ts";
import { writeFileArgument } from "../file-argument.ts";
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
  await monitor.silences();
  await monitor.collect({ signal: context.signal, force: true });
  const current = monitor.alerts();
  const rows = defaultRules.map(({ name, levels }) => {
    const of = current.filter(({ rule }) => rule === name);
    const alert = of.find(({ silence }) => !silence) ?? of[0];
    const state = alert === undefined ? "quiet" : alert.silence ? "silenced" : alert.state;
    return [name, state, levels.map(({ severity, threshold }) => `${severity} ${threshold}`).join(", ")];
  });
  const findings = monitor.findings().filter(({ severity }) => severity !== "info");
  return {
    data: { alerts: current, rules: defaultRules.length },
    text: textTable(["rule", "state", "limits"], rows),
    findings,
  };
}

/** `db monitor rules` */
export async function rules(context: Context, input: Input): Promise<CommandResult> {
  const yaml = renderPrometheusRules(defaultRules);
  return written(context, input, { yaml }, yaml);
}

/** `db monitor grafana` */
export async function grafana(context: Context, input: Input): Promise<CommandResult> {
  const dashboard = buildGrafanaDashboard();
  return written(context, input, dashboard, JSON.stringify(dashboard, undefined, 2));
}

/** `db monitor metrics` */
export async function metrics(): Promise<CommandResult> {
  const rows = metricRegistry.map(({ name, type, tier, since, help }) => [name, type, tier, `${since ?? 12}+`, help]);
  return { data: metricRegistry, text: textTable(["metric", "type", "tier", "from", "what"], rows) };
}

async function written(context: Context, input: Input, data: object, content: string): Promise<CommandResult> {
  const out = text(input, "out");
  if (out === undefined) return { data, text: content.trimEnd() };
  await writeFileArgument(out, content, context);
  return {
    data,
    text: out === "-" ? content.trimEnd() : `${context.dryRun ? "would be written" : "written"} to ${out}`,
    changes: [{ kind: "write_file", object: out }],
  };
}
