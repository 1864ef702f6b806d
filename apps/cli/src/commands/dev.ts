import { resolve } from "node:path";
import { type CommandResult, type Input, text, toggle } from "../command.ts";
import type { Context } from "../context.ts";
import { UsageError } from "../errors.ts";
import { describeTopology, openLocalDatabase } from "../local-topology.ts";
import { untilStopped } from "./serve.ts";

/** `db dev`: a PostgreSQL of this folder, until it is told to stop. */
export async function dev(context: Context, input: Input): Promise<CommandResult> {
  const directory = text(input, "directory");
  const version = wholeNumber(input, "pg-version", 12, 18);
  const replicas = wholeNumber(input, "replicas", 0, 4) ?? 1;
  if (context.dryRun)
    return {
      data: { directory: directory ?? ".db", replicas },
      text: `would run a primary and ${replicas} replicas in ${directory ?? ".db"}`,
    };
  const local = await openLocalDatabase(context, {
    ...(directory === undefined ? {} : { directory: resolve(context.cwd, directory) }),
    database: "postgres",
    fresh: toggle(input, "fresh") === true,
    replicas,
    ...(version === undefined ? {} : { version }),
  });
  await local.announce();
  context.terminal.say(describeTopology(local));
  const urls = { DATABASE_URL: local.primaryUrl, READ_REPLICA_URLS: local.replicaUrls.join(",") };
  if (context.terminal.form === "text") {
    context.terminal.data(
      Object.entries(urls)
        .filter(([, value]) => value !== "")
        .map(([name, value]) => `${name}=${value}`)
        .join("\n"),
    );
    context.terminal.say("Ctrl-C stops it; the data stays.");
  } else context.terminal.event("log", { ready: true, ...urls });
  await untilStopped(context.signal);
  return { data: urls, text: "", exitCode: 0 };
}

export function wholeNumber(input: Input, flag: string, min: number, max: number): number | undefined {
  const value = text(input, flag);
  if (value === undefined) return undefined;
  const number = Number(value);
  if (Number.isInteger(number) && number >= min && number <= max) return number;
  throw new UsageError(`--${flag} is "${value}"`, { hint: `Give a whole number from ${min} to ${max}.` });
}
