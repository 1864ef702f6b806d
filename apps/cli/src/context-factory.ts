import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { type Config, type LoadedConfig, loadConfig, type Profile, profiles } from "@db/config";
import type { Application, Orchestrator } from "@db/orchestrator";
import type { OpenedMigrations } from "@db/orchestrator/migrations";
import { loadApplication } from "./application.ts";
import { type Input, text, toggle } from "./command.ts";
import type { ConfigRequest, Context } from "./context.ts";
import type { Target } from "./envelope.ts";
import { UsageError } from "./errors.ts";
import { findLocalDatabase, type LocalDatabase, localSettings } from "./local-database.ts";
import { createLog } from "./log.ts";
import type { Host } from "./run.ts";
import type { Terminal } from "./terminal.ts";
import { compileWasmOnce } from "./wasm-tier.ts";

/** The context, and what it learned about the target for the envelope. */
export interface MadeContext {
  readonly context: Context;
  target(): Target | undefined;
  production(): boolean;
}

/** Makes the context of one command: everything in it on first use, closed again through `defer`. */
export async function createContext(options: {
  readonly input: Input;
  readonly staysUp: boolean;
  readonly host: Host;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  readonly defer: Context["defer"];
  readonly confirm: Context["confirm"];
}): Promise<MadeContext> {
  const { input, host, terminal, signal } = options;
  const debug = toggle(input, "debug") === true;
  const logger = await createLog(host.stderr, {
    debug,
    verbose: toggle(input, "verbose") === true,
    staysUp: options.staysUp,
  });
  const warned = new Set<string>();
  // Read once: standard input gives its text only once, and a warning is enough once.
  let flags: Promise<Record<string, unknown>> | undefined;
  let config: Config | undefined;
  let orchestrator: Orchestrator | undefined;
  let opened: OpenedMigrations | undefined;
  let local: LocalDatabase | undefined;
  let application: Promise<Application | undefined> | undefined;

  const load = async (request: ConfigRequest = {}): Promise<LoadedConfig> => {
    const { requireConnection = true, local: useLocal = true } = request;
    const given = { ...request.overrides, ...(await (flags ??= flagSettings(input, terminal, host.stdin))) };
    const attempt = (overrides: Record<string, unknown>, required: boolean) =>
      loadConfig({
        env: host.env,
        cwd: host.cwd,
        homeDirectory: host.homeDirectory,
        requireConnection: required,
        overrides,
        ...profileFlag(input),
        ...configFileFlag(input),
      });
    let loaded = await attempt(given, false);
    if (!loaded.config.connection) {
      local = useLocal ? await findLocalDatabase(host.cwd) : undefined;
      if (local) {
        const key = (await readFile(local.encryptionKeyFile, "utf8")).trim();
        loaded = await attempt({ ...localSettings(local), "backup.encryptionKey": key, ...given }, requireConnection);
      } else if (requireConnection) loaded = await attempt(given, true);
    }
    for (const { title, hint } of loaded.warnings) {
      if (warned.has(title)) continue;
      warned.add(title);
      terminal.warn(hint === undefined ? title : `${title}. ${hint}`);
    }
    config = loaded.config;
    return loaded;
  };

  const context: Context = {
    terminal,
    signal,
    logger,
    onProgress: terminal.progress,
    dryRun: toggle(input, "dry-run") === true,
    yes: toggle(input, "yes") === true,
    stdin: host.stdin,
    cwd: host.cwd,
    env: host.env,
    version: host.version,
    config: load,
    application: () => {
      application ??= (async () => {
        const named = text(input, "app") ?? local?.application ?? undefined;
        return named === undefined ? undefined : loadApplication(named, host.cwd);
      })();
      return application;
    },
    orchestrator: async (request = {}) => {
      if (orchestrator) return orchestrator;
      const loaded = request.config ?? (await load());
      const { createOrchestrator } = await import("@db/orchestrator");
      orchestrator = createOrchestrator(loaded.config, {
        application: request.application ?? (await context.application()),
        readOnly: request.readOnly ?? false,
        auditFile: local?.auditFile ?? auditFileOf(loaded.config, host.cwd),
        reportsDirectory: join(host.cwd, ".db", "reports"),
        env: host.env,
        logger,
      });
      const made = orchestrator;
      options.defer(() => made.close());
      return made;
    },
    migrations: async (request = {}) => {
      if (opened) return opened.migrations;
      const loaded = await (request.requireConnection === false ? context.config(request) : load());
      compileWasmOnce();
      const { openMigrations } = await import("@db/orchestrator/migrations");
      opened = openMigrations(loaded.config, {
        application: await context.application(),
        auditFile: local?.auditFile ?? auditFileOf(loaded.config, host.cwd),
        logger,
        backup: async (call) => (await context.orchestrator({ config: loaded })).backups.run(call),
      });
      const made = opened;
      options.defer(async () => made[Symbol.asyncDispose]());
      return made.migrations;
    },
    confirm: options.confirm,
    defer: options.defer,
  };
  return {
    context,
    target: () => targetOf(config, orchestrator?.used.includes("pool") ? orchestrator.pool : opened?.pool),
    production: () => config?.profile === "production",
  };
}

// From what is known already: an envelope is not worth another round trip.
function targetOf(config: Config | undefined, pool: Orchestrator["pool"] | undefined): Target | undefined {
  const connection = config?.connection;
  if (!connection) return undefined;
  const server = pool?.stats().servers[0];
  return {
    host: connection.host,
    port: connection.port,
    database: connection.database,
    ...(server?.role === "primary" || server?.role === "standby" ? { role: server.role } : {}),
    ...(server?.serverVersion === undefined ? {} : { serverVersionNum: server.serverVersion }),
    environment: config.profile,
  };
}

async function flagSettings(
  input: Input,
  terminal: Terminal,
  stdin: NodeJS.ReadableStream,
): Promise<Record<string, unknown>> {
  const url = text(input, "url");
  const urlFile = text(input, "url-file");
  if (url !== undefined && urlFile !== undefined)
    throw new UsageError("--url and --url-file are both given", { hint: "Give one of them." });
  if (url !== undefined) {
    terminal.warn("--url can be seen by other users of this machine; DATABASE_URL and --url-file cannot");
    return { "connection.url": url };
  }
  if (urlFile === undefined) return {};
  try {
    const read = urlFile === "-" ? textOf(stdin) : readFile(urlFile, "utf8");
    return { "connection.url": (await read).trim() };
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new UsageError(`--url-file ${urlFile} cannot be read (${code})`, {
      hint: "Name a file that holds one postgres:// URL.",
      cause,
    });
  }
}

function profileFlag(input: Input): { profile?: Profile } {
  const value = text(input, "env");
  if (value === undefined) return {};
  const profile = profiles.find((each) => each === value);
  if (profile) return { profile };
  throw new UsageError(`--env is "${value}"`, { hint: `Use one of: ${profiles.join(", ")}.` });
}

function configFileFlag(input: Input): { configFile?: string } {
  const configFile = text(input, "config");
  return configFile === undefined ? {} : { configFile };
}

// One trail for each database: what was done to another one says nothing of this one.
function auditFileOf({ connection }: Config, cwd: string): string {
  const target = connection ? `${connection.host}_${connection.port}_${connection.database}` : "no-database";
  return join(cwd, ".db", "audit", `${target.replaceAll(/[^A-Za-z0-9._-]/g, "-")}.jsonl`);
}
