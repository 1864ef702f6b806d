import { relative, resolve } from "node:path";
import { type Finding, formatDuration } from "@db/core";
import { type Application, type MainJobReport, runMainJob } from "@db/orchestrator";
import { loadApplication } from "../application.ts";
import { type CommandResult, type Input, text, toggle } from "../command.ts";
import type { Context } from "../context.ts";
import { UsageError } from "../errors.ts";
import { exitCode } from "../exit-code.ts";
import { findingsText } from "../findings-text.ts";
import { localSettings } from "../local-database.ts";
import { describeTopology, openLocalDatabase } from "../local-topology.ts";
import { requireConnected } from "../main-job-result.ts";
import { stepPrinter } from "../step-text.ts";
import { openServer, untilStopped } from "./serve.ts";

/** `db start`: what `npm start` runs. */
export async function start(context: Context, input: Input): Promise<CommandResult> {
  const startedAt = performance.now();
  const print = (line: string): void =>
    context.terminal.form === "text" ? context.terminal.data(line) : context.terminal.event("log", { message: line });
  const configured = await context.config({ requireConnection: false, local: false });
  const own = configured.config.connection !== undefined;
  const scale = scaleOf(input);
  if (context.dryRun) {
    const text = own
      ? "would look at the configured database, read-only, and serve the page"
      : "would run a primary and a replica in .db, the main job on them, and serve the page";
    return { data: { own, scale }, text };
  }
  const embedded = own ? undefined : await startEmbedded(context, input, print);
  if (own)
    print(
      `looking at database ${configured.config.connection!.database} at ${configured.config.connection!.host}, read-only: nothing is created or changed there`,
    );
  const orchestrator = await context.orchestrator(
    embedded ? { application: embedded.application } : { config: configured, readOnly: true },
  );
  let report: MainJobReport | undefined;
  const server = await openServer(orchestrator, context, input, () => report);
  context.defer(() => server.close());
  const finished = await runMainJob(orchestrator, {
    scale,
    onStep: stepPrinter(context.terminal, print),
    onProgress: context.onProgress,
    signal: context.signal,
  });
  report = finished;
  await embedded?.announce();
  requireConnected(finished);
  await orchestrator.start(["pool", "monitoring", ...(own ? [] : (["jobs"] as const))], context.signal);
  print(closing(context, finished, server.url, own, performance.now() - startedAt));
  await untilStopped(context.signal);
  context.terminal.say("stopping");
  return { data: finished, text: "", exitCode: exitCode.ok };
}

// The database of this folder, made the configured one for everything that follows.
async function startEmbedded(
  context: Context,
  input: Input,
  print: (line: string) => void,
): Promise<{ announce(): Promise<void>; application: Application | undefined }> {
  const path = text(input, "app") ?? text(input, "example");
  const application = path === undefined ? undefined : await loadApplication(path, context.cwd);
  const local = await openLocalDatabase(context, {
    database: application?.name ?? "postgres",
    fresh: toggle(input, "fresh") === true,
    replicas: 1,
    application: path === undefined ? undefined : resolve(context.cwd, path),
  });
  print(
    `${context.terminal.paint("green", "✓")} ${"PostgreSQL".padEnd(43)} ${describeTopology({ ...local, directory: relative(context.cwd, local.directory) || "." })}`,
  );
  await local.announce();
  await context.config({ overrides: { ...localSettings(local) } });
  return { announce: () => local.announce(), application };
}

function closing(context: Context, report: MainJobReport, url: string, own: boolean, tookMs: number): string {
  const worst = report.findings.filter(({ severity }) => severity !== "info");
  const shown: readonly Finding[] = own ? report.findings : worst;
  const command = context.env["npm_lifecycle_event"] === undefined ? "db" : "npm run -s db --";
  const failed = report.steps.filter(({ status }) => status === "failed").length;
  const tries = own
    ? [`${command} optimize`, `${command} validate suggest`, `${command} report --format html --out report.html`]
    : [`${command} health --detailed`, `${command} backup list`, `${command} optimize`];
  const paint = context.terminal.paint.bind(context.terminal);
  return [
    ...(shown.length > 0 ? ["", findingsText(shown, context.terminal, own ? 15 : 5)] : []),
    "",
    `${failed === 0 ? "ready" : `${failed} steps failed; the rest is ready`} after ${formatDuration(tookMs)}`,
    "",
    `  ${paint("bold", "open")}   ${url}`,
    `  ${paint("bold", "stop")}   Ctrl-C${own ? "" : " (the data stays in .db; begin again with: npm start -- --fresh)"}`,
    ...tries.map((each, index) => `  ${index === 0 ? paint("bold", "try") : "   "}    ${each}`),
  ].join("\n");
}

function scaleOf(input: Input): number {
  const value = text(input, "scale");
  if (value === undefined) return 1;
  const scale = Number(value);
  if (scale >= 0.01 && scale <= 100) return scale;
  throw new UsageError(`--scale is "${value}"`, { hint: "Give a number from 0.01 to 100." });
}
