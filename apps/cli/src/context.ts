import { type OnProgress, toDatabase } from "@db/core";
import type { LoadedConfig } from "@db/config";
import type { Application, Orchestrator } from "@db/orchestrator";
import type { DestructivePlan } from "./confirm.ts";
import type { Target } from "./envelope.ts";
import type { Terminal } from "./terminal.ts";

/** What a running command may use. Everything costly is made on first use and closed when the command ends. */
export interface Context {
  readonly terminal: Terminal;
  /** Fires on Ctrl-C, on SIGTERM and when `--timeout` runs out. */
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly verbose: boolean;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly homeDirectory: string;
  readonly version: string;
  /** Configuration from flags, environment and files. @throws {ConfigError} with every problem at once */
  config(options?: { readonly requireConnection?: boolean }): Promise<LoadedConfig>;
  /** The configured services. No connection is opened before one is used. */
  orchestrator(options?: OrchestratorRequest): Promise<Orchestrator>;
  /** @throws {NotConfirmedError} unless the target was named */
  confirm(plan: DestructivePlan): Promise<void>;
  /** Runs `cleanup` when the command ends, last registered first. */
  defer(cleanup: () => Promise<unknown>): void;
}

export interface OrchestratorRequest {
  readonly readOnly?: boolean;
  readonly application?: Application;
}

/** Asks the server who it is, for the envelope. */
export async function describeTarget(orchestrator: Orchestrator): Promise<Target> {
  const { config } = orchestrator;
  const { rows } = await toDatabase(orchestrator.pool).query<{ standby: boolean; version: number }>(
    "select pg_catalog.pg_is_in_recovery() as standby, current_setting('server_version_num')::int as version",
  );
  return {
    host: config.connection?.host ?? "",
    port: config.connection?.port ?? 5432,
    database: config.connection?.database ?? "",
    role: rows[0]!.standby ? "standby" : "primary",
    serverVersionNum: rows[0]!.version,
    environment: config.profile,
  };
}
