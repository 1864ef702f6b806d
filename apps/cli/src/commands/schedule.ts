import { formatDuration } from "@db/core";
import type { JobState } from "@db/orchestrator";
import type { CommandResult, Input } from "../command.ts";
import type { Context } from "../context.ts";
import { UsageError } from "../errors.ts";
import { textTable } from "../text-table.ts";
import { untilStopped } from "./serve.ts";

/** `db schedule`: stays until it is told to stop. A job that fails is told, and its next time comes all the same. */
export async function schedule(context: Context): Promise<CommandResult> {
  const orchestrator = await context.orchestrator();
  const { jobs } = orchestrator;
  if (jobs.states.length === 0) {
    throw new UsageError("this configuration schedules nothing", {
      hint: "Set backup.schedule.full, validate.hours or indexer.hours; db config explain shows what they are now.",
    });
  }
  if (context.dryRun) {
    return {
      data: { jobs: jobs.states },
      text: `would run, until it is stopped:\n${describe(jobs.states)}`,
      changes: jobs.states.map(({ name }) => ({ kind: "run_job", object: name })),
    };
  }
  orchestrator.events.on("job:finished", (event) => {
    if (context.terminal.form !== "text") return context.terminal.event("log", event);
    const time = new Date().toISOString().slice(0, 19);
    context.terminal.data(`${time}Z  ${event.job} ${event.outcome} after ${formatDuration(event.durationMs)}`);
  });
  await orchestrator.start(["jobs"], context.signal);
  if (context.terminal.form === "text") context.terminal.data(`running until it is stopped:\n${describe(jobs.states)}`);
  else context.terminal.event("log", { ready: true, jobs: jobs.states });
  await untilStopped(context.signal);
  return { data: { jobs: jobs.states }, text: "stopped", exitCode: 0 };
}

/** `db schedule list` */
export async function list(context: Context): Promise<CommandResult> {
  const { jobs } = await context.orchestrator({ readOnly: true });
  const text = jobs.states.length === 0 ? "this configuration schedules nothing" : describe(jobs.states);
  return { data: { jobs: jobs.states }, text, next: jobs.states.length === 0 ? [] : ["db schedule"] };
}

/** `db schedule run <job>` */
export async function run(context: Context, input: Input): Promise<CommandResult> {
  const orchestrator = await context.orchestrator();
  const job = input.arguments["job"]!;
  const known = orchestrator.jobs.states.map(({ name }) => name);
  if (!known.includes(job)) {
    throw new UsageError(`no job is named "${job}"`, {
      hint: known.length === 0 ? "This configuration schedules nothing." : `Jobs: ${known.join(", ")}.`,
    });
  }
  const changes = [{ kind: "run_job", object: job }];
  if (context.dryRun) return { data: { job }, text: `would run job ${job}`, changes };
  const startedAt = performance.now();
  await orchestrator.start(["pool"], context.signal);
  await orchestrator.jobs.runNow(job, context.signal);
  const durationMs = Math.round(performance.now() - startedAt);
  return { data: { job, durationMs }, text: `job ${job} done in ${formatDuration(durationMs)}`, changes };
}

function describe(states: readonly JobState[]): string {
  return textTable(
    ["job", "schedule", "due (UTC)"],
    states.map(({ name, schedule: fields, dueAt }) => [name, fields, dueAt?.slice(0, 16).replace("T", " ") ?? "never"]),
  );
}
