import { readFile } from "node:fs/promises";
import { type Config, type LoadedConfig, loadConfig } from "@db/config";
import { createOrchestrator, type Orchestrator } from "@db/orchestrator";
import { type Input, text, toggle } from "./command.ts";
import type { Context } from "./context.ts";
import { describeTarget } from "./context.ts";
import type { Target } from "./envelope.ts";
import { UsageError } from "./errors.ts";
import { createLog } from "./log.ts";
import type { Host } from "./run.ts";
import type { Terminal } from "./terminal.ts";

/** Makes the context of one command: everything in it on first use, closed again through `defer`. */
export function createContext(options: {
  readonly input: Input;
  readonly host: Host;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  readonly defer: Context["defer"];
  readonly confirm: Context["confirm"];
}): { readonly context: Context; target(): Target | undefined; production(): boolean } {
  const { input, host, terminal, signal } = options;
  let loaded: Promise<LoadedConfig> | undefined;
  let config: Config | undefined;
  let target: Target | undefined;
  let orchestrator: Promise<Orchestrator> | undefined;
  const verbose = toggle(input, "verbose") === true || toggle(input, "debug") === true;

  const load = async (requireConnection: boolean): Promise<LoadedConfig> => {
    loaded ??= (async () =>
      loadConfig({
        env: host.env,
        cwd: host.cwd,
        homeDirectory: host.homeDirectory,
        requireConnection,
        overrides: await overrides(input, terminal),
      }))();
    const result = await loaded;
    config = result.config;
    return result;
  };

  const context: Context = {
    terminal,
    signal,
    onProgress: terminal.progress,
    dryRun: toggle(input, "dry-run") === true,
    yes: toggle(input, "yes") === true,
    verbose,
    cwd: host.cwd,
    env: host.env,
    homeDirectory: host.homeDirectory,
    version: host.version,
    config: ({ requireConnection = true } = {}) => load(requireConnection),
    orchestrator: (request = {}) => {
      orchestrator ??= (async () => {
        const { config: ready } = await load(true);
        const made = createOrchestrator(ready, {
          ...request,
          logger: createLog(host.stderr, { debug: toggle(input, "debug") === true, verbose }),
        });
        options.defer(() => made.close());
        target = await describeTarget(made);
        return made;
      })();
      return orchestrator;
    },
    confirm: options.confirm,
    defer: options.defer,
  };
  return { context, target: () => target, production: () => config?.profile === "production" };
}

async function overrides(input: Input, terminal: Terminal): Promise<Record<string, string>> {
  const flags: Record<string, string> = {};
  const url = text(input, "url");
  const urlFile = text(input, "url-file");
  if (url !== undefined && urlFile !== undefined)
    throw new UsageError("--url and --url-file are both given", { hint: "Give one of them." });
  if (url !== undefined) {
    terminal.warn("--url can be seen by other users of this machine; DATABASE_URL or --url-file cannot");
    flags["url"] = url;
  }
  if (urlFile !== undefined) {
    flags["url"] = (
      await readFile(urlFile, "utf8").catch((cause: NodeJS.ErrnoException) => {
        throw new UsageError(`--url-file ${urlFile} cannot be read (${cause.code})`, {
          hint: "Name a file that holds one postgres:// URL.",
          cause,
        });
      })
    ).trim();
  }
  for (const [flag, key] of [
    ["env", "profile"],
    ["config", "configFile"],
  ] as const) {
    const value = text(input, flag);
    if (value !== undefined) flags[key] = value;
  }
  return flags;
}
