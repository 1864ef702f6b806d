import { parseBytes, parseDurationMs } from "@db/core";
import type { WalReceiveCall } from "@db/orchestrator";
import { resolve } from "node:path";
import { type CommandResult, type Input, text, toggle } from "../command.ts";
import type { Context } from "../context.ts";
import { UsageError } from "../errors.ts";
import { openWithoutDatabase } from "../without-database.ts";
import { untilStopped } from "./serve.ts";

/** `db wal receive`: stays until it is told to stop, or until waiting no longer helps. */
export async function receive(context: Context, input: Input): Promise<CommandResult> {
  const orchestrator = await context.orchestrator();
  const repository = text(input, "repo") ?? orchestrator.backups.location;
  const call = callOf(context, input);
  const slot = call.slot ?? "db_backup";
  if (context.dryRun) {
    return {
      data: { repository, slot },
      text: `would receive WAL through slot ${slot} into ${repository}`,
      changes: [{ kind: "receive_wal", object: repository }],
    };
  }
  const receiver = await orchestrator.wal.receiver({
    ...call,
    onGap: ({ fromLsn, toLsn }) => {
      const next = call.backUpAfterGap === false ? "take a full backup now" : "a full backup begins";
      context.terminal.warn(`WAL from ${fromLsn} to ${toLsn} is lost: ${next}`);
    },
  });
  context.defer(() => receiver.stop({ timeoutMs: 3_000 }));
  await receiver.start(context.signal);
  const began = receiver.status();
  const ready = `receiving WAL of cluster ${began.systemIdentifier} through slot ${slot} into ${repository}`;
  if (context.terminal.form === "text") context.terminal.data(ready);
  else context.terminal.event("log", { ready: true, ...began });
  await Promise.race([untilStopped(context.signal), receiver.ended()]);
  await receiver.stop({ timeoutMs: 3_000 });
  const status = receiver.status();
  const reached =
    status.durableLsn === null ? "nothing new is stored" : `everything before ${status.durableLsn} is stored`;
  return { data: status, text: `stopped; ${reached}`, exitCode: 0 };
}

/** `db wal serve`: stays until it is told to stop. */
export async function serve(context: Context, input: Input): Promise<CommandResult> {
  const socket = text(input, "socket");
  if (socket === undefined) {
    throw new UsageError("--socket is missing: where to listen", {
      hint: "Name a path that the server's account may open: --socket /run/postgresql/db-wal.sock",
    });
  }
  const socketPath = resolve(context.cwd, socket);
  const { wal, backups } = await openWithoutDatabase(context);
  const repository = text(input, "repo") ?? backups.location;
  if (context.dryRun) {
    return { data: { socketPath, repository }, text: `would serve the WAL of ${repository} on ${socketPath}` };
  }
  await using _daemon = await wal.serve(socketPath, { repository: text(input, "repo"), signal: context.signal });
  if (context.terminal.form === "text") context.terminal.data(`serving the WAL of ${repository} on ${socketPath}`);
  else context.terminal.event("log", { ready: true, socketPath, repository });
  await untilStopped(context.signal);
  return { data: { socketPath, repository }, text: "stopped", exitCode: 0 };
}

function callOf(context: Context, input: Input): WalReceiveCall {
  const spool = text(input, "spool");
  const spoolSize = text(input, "spool-size");
  const tail = text(input, "tail");
  return {
    repository: text(input, "repo"),
    signal: context.signal,
    slot: text(input, "slot"),
    spoolDirectory: spool === undefined ? undefined : resolve(context.cwd, spool),
    spoolBytes: spoolSize === undefined ? undefined : parseBytes(spoolSize),
    tailIntervalMs: tail === undefined ? undefined : parseDurationMs(tail),
    backUpAfterGap: toggle(input, "backup-after-gap") ?? true,
  };
}
