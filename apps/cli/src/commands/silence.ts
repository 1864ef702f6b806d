import { userInfo } from "node:os";
import { parseDurationMs } from "@db/core";
import { defaultRules, type Silence } from "@db/orchestrator";
import { type CommandResult, type Input, text, texts } from "../command.ts";
import type { Context } from "../context.ts";
import { UsageError } from "../errors.ts";
import { textTable } from "../text-table.ts";

/** `db monitor silence` */
export async function silence(context: Context, input: Input): Promise<CommandResult> {
  const { alerts } = await context.orchestrator({ readOnly: context.dryRun });
  alerts.assertKept();
  const lasts = text(input, "for");
  const request = {
    rule: input.arguments["rule"]!,
    labels: Object.fromEntries(texts(input, "label").map(labelOf)),
    reason: text(input, "reason") ?? "",
    by: userInfo().username,
    ...(lasts !== undefined && { forMs: parseDurationMs(lasts) }),
  };
  const change = { kind: "silence_alert", object: request.rule };
  if (!defaultRules.some(({ name }) => name === request.rule)) {
    throw new UsageError(`there is no rule ${request.rule}`, { hint: "Run `db monitor alerts` for those there are." });
  }
  if (request.reason.trim() === "") {
    throw new UsageError("a silence needs --reason", { hint: "Say why, for whoever looks at it at night." });
  }
  if (context.dryRun) {
    return { data: request, text: `${request.rule} would be silenced ${lasts ?? "until it ends"}`, changes: [change] };
  }
  const kept = await alerts.silence(request);
  return {
    data: kept,
    text: `${kept.rule} is silenced ${endOf(kept)}`,
    changes: [change],
    next: ["db monitor silences"],
  };
}

/** `db monitor silences` */
export async function silences(context: Context): Promise<CommandResult> {
  const { alerts } = await context.orchestrator({ readOnly: true });
  alerts.assertKept();
  const rows = await alerts.silences();
  return {
    data: rows,
    text:
      rows.length === 0
        ? "nothing is silenced"
        : textTable(
            ["id", "rule", "labels", "ends", "by", "reason"],
            rows.map((each) => [each.id, each.rule, labelsOf(each), endOf(each), each.by, each.reason]),
          ),
  };
}

/** `db monitor unsilence` */
export async function unsilence(context: Context, input: Input): Promise<CommandResult> {
  const { alerts } = await context.orchestrator({ readOnly: context.dryRun });
  alerts.assertKept();
  const id = input.arguments["id"]!;
  const changes = [{ kind: "unsilence_alert", object: id }];
  if (context.dryRun) return { data: { id }, text: `${id} would be ended`, changes };
  if (!(await alerts.unsilence(id))) {
    throw new UsageError(`there is no silence ${id}`, { hint: "Run `db monitor silences` for those there are." });
  }
  return { data: { id }, text: `${id} is ended: its alerts are told again`, changes };
}

function labelOf(given: string): readonly [string, string] {
  const [, name, value] = /^([a-z_]+)=(.*)$/s.exec(given) ?? [];
  if (name !== undefined && value !== undefined) return [name, value];
  throw new UsageError(`--label ${given} is not name=value`, { hint: "Write for example --label server=replica-1." });
}

function labelsOf({ labels }: Silence): string {
  const all = Object.entries(labels).map(([name, value]) => `${name}=${value}`);
  return all.length === 0 ? "all" : all.join(" ");
}

function endOf({ endsWithAlert, until }: Silence): string {
  return endsWithAlert ? `until it ends, ${until} at the latest` : `until ${until}`;
}
