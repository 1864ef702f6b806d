import type { Config } from "@db/config";
import { type Logger, noLogger } from "@db/core";
import { type Application, createOrchestrator, type Orchestrator, type ServiceName } from "@db/orchestrator";
import { type Flags, type PlatformDefaults, readEnvironment } from "./environment.ts";
import { LegacyAlreadyExistsError, LegacyShutDownError } from "./errors.ts";
import { warn } from "./use.ts";
import { tellUnserved } from "./unserved.ts";

/** What the old names cannot be told, since they take no such argument. */
export interface LegacySetup {
  /** Instead of the environment. */
  readonly config?: Config;
  /** Migrations, validation rules and indexes of the product. */
  readonly application?: Application;
  readonly logger?: Logger;
  /** File of the audit trail. Default none: kept in memory. */
  readonly auditFile?: string;
}

/** An orchestrator that is made when it is first needed, and may be made again after it was closed. */
export interface Host {
  /** @throws {LegacyShutDownError} after `close`, until `reopen`; @throws {ConfigError} */
  readonly orchestrator: Orchestrator;
  /** True while an orchestrator is made and not closed. */
  readonly isOpen: boolean;
  /** The configuration in force, or the one that would be. @throws {ConfigError} */
  readonly config: Config;
  /** Lets a closed host be used again. */
  reopen(): Promise<void>;
  /** Stops everything, each service within its bound. May be called again. */
  close(): Promise<void>;
}

let setup: LegacySetup = {};

/** Makes a host of its own, apart from the one of the process. */
export function createHost(flags: Flags = {}): Host {
  return new LazyHost(() => flags);
}

class LazyHost implements Host {
  readonly #flags: () => Flags;
  #orchestrator: Orchestrator | undefined;
  #closing: Promise<void> | undefined;

  constructor(flags: () => Flags) {
    this.#flags = flags;
  }

  get orchestrator(): Orchestrator {
    if (this.#closing) throw new LegacyShutDownError();
    return (this.#orchestrator ??= this.#create());
  }

  get isOpen(): boolean {
    return this.#orchestrator !== undefined && this.#closing === undefined;
  }

  get config(): Config {
    return this.#orchestrator && !this.#closing ? this.#orchestrator.config : this.#read();
  }

  async reopen(): Promise<void> {
    if (!this.#closing) return;
    await this.#closing.catch(() => undefined);
    this.#closing = undefined;
    this.#orchestrator = undefined;
  }

  close(): Promise<void> {
    // What was never opened stays ready for its first use.
    this.#closing ??= this.#orchestrator?.close();
    return this.#closing ?? Promise.resolve();
  }

  #create(): Orchestrator {
    const { application, logger = noLogger, auditFile } = setup;
    const config = this.#read();
    tellUnserved(config);
    return createOrchestrator(config, { application, logger, auditFile, env: process.env });
  }

  #read(): Config {
    const { logger = noLogger } = setup;
    if (setup.config && (this === processHost || Object.keys(this.#flags()).length === 0)) return setup.config;
    const defaults = processDefaults === undefined ? {} : { defaults: processDefaults };
    const { config, warnings } = readEnvironment({ flags: this.#flags(), ...defaults });
    for (const { id, severity, title } of warnings) if (severity !== "info") logger.warn({ id }, title);
    return config;
  }
}

let processFlags: Flags = {};
let processDefaults: PlatformDefaults | undefined;

/** The one that all singletons of this package share. */
export const processHost: Host = new LazyHost(() => processFlags);

/** What the old names log to. */
export function legacyLogger(): Logger {
  return setup.logger ?? noLogger;
}

/**
 * Tells the old names what they take no argument for. Call it before the first of them.
 * @throws {LegacyAlreadyExistsError} while the services run
 */
export function configureLegacy(given: LegacySetup): void {
  if (processHost.isOpen) {
    throw new LegacyAlreadyExistsError("the database services of this process run already", {
      hint: "Call configureLegacy before the first old name, or shut down first.",
    });
  }
  setup = given;
}

/**
 * Settings that an old name was given for the process.
 * @returns false when other settings are in force already; that is told by a warning
 */
export function configureProcess(flags: Flags, name: string): boolean {
  const isSame = JSON.stringify(flags) === JSON.stringify(processFlags);
  const isDecided = processHost.isOpen || setup.config !== undefined;
  if (isDecided && !isSame) {
    warn(`${name} was given other settings than those in force; the first ones stay`, "DB_LEGACY_CONFIGURATIONS");
    return false;
  }
  processFlags = flags;
  return true;
}

/**
 * Lets a platform's own figures count where neither the environment nor an option says anything. Each of its entrances
 * calls it; once the services run, what is in force stays.
 */
export function adoptDefaults(defaults: PlatformDefaults): void {
  if (!processHost.isOpen) processDefaults = defaults;
}

/** Starts services; when one does not start, the whole host is closed, and the next use begins anew. */
export async function startHost(host: Host, names: readonly ServiceName[]): Promise<void> {
  await host.reopen();
  try {
    await host.orchestrator.start(names);
  } catch (error) {
    await host.close().catch(() => undefined);
    await host.reopen();
    throw error;
  }
}

/** Monitoring where the configuration has it on. */
export function backgroundServices({ config }: Orchestrator): readonly ServiceName[] {
  return config.monitor.enabled && config.features.monitoring ? ["monitoring"] : [];
}
