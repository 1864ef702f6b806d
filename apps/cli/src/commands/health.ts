import { type Finding, formatDuration, type HealthCheck, parseDurationMs, systemClock, worstStatus } from "@db/core";
import type { Orchestrator } from "@db/orchestrator";
import { type CommandResult, type Input, text, toggle } from "../command.ts";
import type { Context } from "../context.ts";
import { findingsText } from "../findings-text.ts";
import { nagiosText } from "../nagios-text.ts";
import type { Terminal } from "../terminal.ts";

const words = { pass: "well", warn: "working, with things to look at", fail: "not well" } as const;
const colors = { pass: "green", warn: "yellow", fail: "red" } as const;

/** `db health` */
export async function health(context: Context, input: Input): Promise<CommandResult> {
  const orchestrator = await context.orchestrator({ readOnly: true });
  await orchestrator.start(["pool"], context.signal);
  const detailed = toggle(input, "detailed") === true;
  if (toggle(input, "watch") === true) await watch(orchestrator, context, input, detailed);
  const state = await look(orchestrator, context.signal);
  if (text(input, "format") === "nagios") {
    const { line, exitCode } = nagiosText(state.status, state.checks.length, state.findings);
    return { data: state, text: line, findings: state.findings, exitCode };
  }
  const benchmark = toggle(input, "benchmark") === true ? await measure(orchestrator) : undefined;
  const lines = [
    describe(state, context.terminal, detailed),
    ...(benchmark
      ? [
          `acquire ${formatDuration(benchmark.acquireMs)}, reuse ${formatDuration(benchmark.reuseMs)}, simple query ${formatDuration(benchmark.queryMs)}, health check ${formatDuration(benchmark.healthMs)}`,
        ]
      : []),
  ];
  return {
    data: { ...state, ...(benchmark ? { benchmark } : {}) },
    text: lines.join("\n"),
    findings: state.findings,
    gate: true,
    ...(state.probes === "fail" ? { exitCode: 4 } : {}),
  };
}

interface State {
  readonly status: "pass" | "warn" | "fail";
  /** What the probes alone say: whether the servers answer. */
  readonly probes: "pass" | "warn" | "fail";
  readonly at: string;
  readonly checks: readonly HealthCheck[];
  readonly findings: readonly Finding[];
}

async function look(orchestrator: Orchestrator, signal: AbortSignal): Promise<State> {
  await orchestrator.monitor.collect({ signal, maxAgeMs: 1_000 });
  const { status, checks, at } = await orchestrator.health();
  const findings = orchestrator.monitor.findings();
  // The word in front says the worse of what the probes and the findings say; findings come worst first.
  const byFindings = ({ critical: "fail", warn: "warn", info: "pass" } as const)[findings[0]?.severity ?? "info"];
  return { status: worstStatus([status, byFindings]), probes: status, at, checks, findings };
}

// Each look is printed as it is made; the last one becomes the result.
async function watch(orchestrator: Orchestrator, context: Context, input: Input, detailed: boolean): Promise<void> {
  const intervalMs = parseDurationMs(text(input, "interval") ?? "5s");
  while (!context.signal.aborted) {
    const state = await look(orchestrator, context.signal);
    if (context.terminal.form === "text")
      context.terminal.data(`${state.at.slice(11, 19)} UTC  ${describe(state, context.terminal, detailed)}`);
    else context.terminal.event("log", state);
    await systemClock.sleep(intervalMs, context.signal).catch(() => undefined);
  }
}

function describe({ status, checks, findings }: State, terminal: Terminal, detailed: boolean): string {
  const shown = detailed ? checks : checks.filter((check) => check.status !== "pass");
  const lines = [
    `${terminal.paint(colors[status], words[status])}: ${checks.length} checks, ${findings.length} findings`,
    ...shown.map(
      ({ name, status: each, observedValue, observedUnit, output }) =>
        `${terminal.paint(colors[each], each.padEnd(8))} ${name}${observedValue === undefined ? "" : `  ${observedValue} ${observedUnit ?? ""}`.trimEnd()}${output === undefined ? "" : `  ${output}`}`,
    ),
    findingsText(findings, terminal, detailed ? Infinity : 10),
  ];
  return lines.filter((line) => line !== "").join("\n");
}

async function measure(orchestrator: Orchestrator) {
  const median = async (work: () => Promise<unknown>): Promise<number> => {
    const times: number[] = [];
    for (let run = 0; run < 50; run += 1) {
      const startedAt = performance.now();
      await work();
      times.push(performance.now() - startedAt);
    }
    return times.toSorted((a, b) => a - b)[25]!;
  };
  const { pool } = orchestrator;
  const startedAt = performance.now();
  await pool.withSession((session) => session.query("select 1"));
  const acquireMs = performance.now() - startedAt;
  return {
    acquireMs,
    reuseMs: await median(async () => (await pool.connect()).release()),
    queryMs: await median(() => pool.query("select 1")),
    healthMs: await median(() => orchestrator.health()),
  };
}
