import { parseDurationMs } from "@db/core";
import { sourceFromOrchestrator, startServer, type StatusServer } from "@db/server";
import type { MainJobReport, Orchestrator } from "@db/orchestrator";
import { type CommandResult, type Input, text } from "../command.ts";
import type { Context } from "../context.ts";
import { UsageError } from "../errors.ts";

/** `db serve`: stays until it is told to stop. A database that is away is shown, not an error. */
export async function serve(context: Context, input: Input): Promise<CommandResult> {
  // It only reads, unless the configuration names actions that may be asked for.
  const { config } = await context.config();
  const orchestrator = await context.orchestrator({ readOnly: config.server.adminActions.length === 0 });
  await orchestrator.start(["pool", "monitoring"], context.signal).catch((error: unknown) => {
    context.logger.warn({ err: error }, "the database does not answer yet");
    context.terminal.warn("the database does not answer yet: the page says so until it does");
  });
  const server = await openServer(orchestrator, context, input, () => undefined);
  context.terminal.data(`listening on ${server.url}`);
  await untilStopped(context.signal);
  await server.close();
  return { data: { url: server.url }, text: "stopped" };
}

/** Serves an orchestrator: on the port that was asked for, else on the usual one, else on a free one. */
export async function openServer(
  orchestrator: Orchestrator,
  context: Context,
  input: Input,
  mainJob: () => MainJobReport | undefined,
): Promise<StatusServer> {
  const { server: config } = orchestrator.config;
  const { explain } = await context.config({ requireConnection: false });
  // A port that somebody named is that port or none; the usual one is only a wish.
  const asked =
    portOf(input) ??
    (["default", "profile default"].includes(explain("server.port").source.level) ? undefined : config.port);
  const host = text(input, "host") ?? config.host;
  const drain = text(input, "drain");
  const open = (port: number): Promise<StatusServer> =>
    startServer({
      source: sourceFromOrchestrator(orchestrator, { mainJob, logger: context.logger }),
      host,
      port,
      tokens: config.tokens.map((token) => token.reveal()),
      adminActions: config.adminActions,
      ...(drain !== undefined && { drainMs: parseDurationMs(drain) }),
      version: context.version,
      logger: context.logger,
    });
  if (asked !== undefined) return open(asked);
  try {
    return await open(config.port);
  } catch (error) {
    if ((error as { code?: unknown }).code !== "SERVER_CANNOT_LISTEN") throw error;
    return open(0);
  }
}

export function untilStopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    // An abort signal alone keeps no process alive.
    const alive = setInterval(() => undefined, 60_000);
    const stop = (): void => {
      clearInterval(alive);
      resolve();
    };
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}

function portOf(input: Input): number | undefined {
  const value = text(input, "port");
  if (value === undefined) return undefined;
  const port = Number(value);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new UsageError(`--port is "${value}"`, { hint: "Give a number from 0 (a free one) to 65535." });
}
