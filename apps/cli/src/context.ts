import type { LoadedConfig } from "@db/config";
import type { Logger, OnProgress } from "@db/core";
import type { Application, MigrationService, Orchestrator, OrchestratorOptions } from "@db/orchestrator";
import type { DestructivePlan } from "./confirm.ts";
import type { Terminal } from "./terminal.ts";

/** What a running command may use. Everything costly is made on first use and closed when the command ends. */
export interface Context {
  readonly terminal: Terminal;
  /** Fires on Ctrl-C, on SIGTERM and when `--timeout` runs out. */
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
  readonly logger: Logger;
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly stdin: NodeJS.ReadableStream;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  /**
   * Configuration from flags, environment and files; where they name no database, the one that `db dev` or `db start`
   * runs in this folder.
   * @throws {ConfigError} with every problem at once
   */
  config(request?: ConfigRequest): Promise<LoadedConfig>;
  /** The configured services, made once. No connection is opened before one is used. */
  orchestrator(request?: OrchestratorRequest): Promise<Orchestrator>;
  /** Migrations alone: loads a fraction of what the orchestrator does, for commands that every deployment runs. */
  migrations(request?: ConfigRequest): Promise<MigrationService>;
  /** The application named by `--app`, by the local database, or none. */
  application(): Promise<Application | undefined>;
  /** @throws {NotConfirmedError} unless the target was named */
  confirm(plan: DestructivePlan): Promise<void>;
  /** Runs `cleanup` when the command ends, last registered first. */
  defer(cleanup: () => Promise<unknown>): void;
}

export interface ConfigRequest {
  /** Whether it is an error when no database is named. Default `true`. */
  readonly requireConnection?: boolean;
  /** Settings that beat the environment and the files, below the flags. */
  readonly overrides?: Readonly<Record<string, unknown>>;
  /** Whether a database running in this folder may stand in for one that is configured. Default `true`. */
  readonly local?: boolean;
}

export type OrchestratorRequest = Pick<OrchestratorOptions, "readOnly" | "application"> & {
  readonly config?: LoadedConfig;
};
