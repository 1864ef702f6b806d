import { defineScript, type ScriptFlag, type ScriptHost, withProcessSignals } from "@db/orchestrator";
import { DatabaseConfigManager } from "../chanuka/config-manager.ts";
import { UnifiedConnectionManager } from "../chanuka/connection-manager.ts";
import { DatabaseOrchestrator } from "../chanuka/database-orchestrator.ts";
import { createHost } from "../host.ts";
import { recordUse } from "../use.ts";
import { createScriptLogger, type ScriptLogger } from "./script-logger.ts";

/** What the words on the command line said. */
export interface ScriptOptions {
  readonly dryRun: boolean;
  readonly verbose: boolean;
  /** The result as one JSON object on stdout. */
  readonly json: boolean;
  /** Milliseconds; `Infinity` without a bound. */
  readonly timeout: number;
  /** The script's own flags. */
  readonly [flag: string]: string | boolean | number | readonly string[] | undefined;
}

/** What a script works with. Nothing is connected before it is used; everything is closed when the script ends. */
export interface ScriptContext {
  readonly orchestrator: DatabaseOrchestrator;
  readonly config: DatabaseConfigManager;
  readonly logger: ScriptLogger;
  readonly options: ScriptOptions;
  /** Fires when the time is up, and on Ctrl-C and SIGTERM. New beside the old four. */
  readonly signal: AbortSignal;
  /** A line of the answer on stdout; nothing with `--json`. New. */
  readonly print: (line: string) => void;
}

/** How a script ended. */
export interface ScriptResult {
  readonly success: boolean;
  readonly message?: string;
  readonly data?: unknown;
  readonly errors?: readonly string[];
  readonly warnings?: readonly string[];
  /** Milliseconds. */
  readonly duration?: number;
  /** 0 ok, 1 failure, 2 usage, 6 cannot connect, 7 timed out, 130 and 143 on a signal. */
  readonly exitCode?: number;
}

/** What the scripts of the platform extend: `execute` is theirs, `run` is done for them. */
export abstract class BaseDatabaseScript {
  readonly name: string;
  readonly description: string;

  constructor(name: string, description: string) {
    recordUse("BaseDatabaseScript");
    this.name = name;
    this.description = description;
  }

  /** The script itself. */
  abstract execute(context: ScriptContext): Promise<ScriptResult>;

  /** Flags of the script beside those that all have. Override it to add some. */
  protected flags(): Readonly<Record<string, ScriptFlag>> {
    return {};
  }

  /**
   * Reads the words, runs the script within its time and tells how it ended. Never throws and never ends the process.
   * @param argv the words after the script's name; default those of this process
   */
  async run(argv: readonly string[] = process.argv.slice(2), host: ScriptHost = process): Promise<ScriptResult> {
    if (host !== process) return await this.#runIn(host, argv);
    const { env, stdout, stderr } = process;
    const cwd = (): string => process.cwd();
    return await withProcessSignals(process, (signal) => this.#runIn({ env, stdout, stderr, cwd, signal }, argv));
  }

  async #runIn(host: ScriptHost, argv: readonly string[]): Promise<ScriptResult> {
    const script = defineScript({
      name: this.name,
      description: this.description,
      flags: this.flags(),
      run: async ({ options, logger, progress, signal, print, defer }) => {
        const { dryRun, verbose, json, timeoutMs, flags } = options;
        const services = createHost();
        defer(() => services.close());
        // Whose time is up does not wait for what it was doing.
        defer(async () => {
          if (signal.aborted && services.isOpen) await services.orchestrator.pool.drain({ timeoutMs: 0 });
        });
        const orchestrator = new DatabaseOrchestrator(services, new UnifiedConnectionManager({}, services));
        return await this.execute({
          orchestrator,
          config: new DatabaseConfigManager(() => services.config),
          logger: createScriptLogger(logger, progress),
          options: { ...flags, dryRun, verbose, json, timeout: timeoutMs },
          signal,
          print,
        });
      },
    });
    const result = await script.run(argv, host);
    return {
      success: result.success,
      ...(result.message === undefined ? {} : { message: result.message }),
      data: result.data,
      errors: result.success ? [] : [result.message ?? `${this.name} failed`],
      warnings: result.warnings,
      duration: result.durationMs,
      exitCode: result.exitCode,
    };
  }
}
