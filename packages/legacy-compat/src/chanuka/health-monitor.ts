import { worstStatus } from "@db/core";
import { backgroundServices, type Host, processHost, startHost } from "../host.ts";
import { type HealthWord, healthWord } from "../health-word.ts";
import { recordUse } from "../use.ts";
import { UnifiedConnectionManager } from "./connection-manager.ts";

export interface HealthSummary {
  readonly status: HealthWord;
  /** ISO 8601. */
  readonly lastCheck: string;
  /** What is wrong, one sentence each. */
  readonly issues: readonly string[];
}

/** The health of the database and of what watches it. */
export class UnifiedHealthMonitor {
  readonly #host: Host;
  #isRunning = false;
  #last: HealthSummary | undefined;

  /** Looks at what a connection manager works on; without one, at the services of the process. */
  constructor(of?: UnifiedConnectionManager | Host) {
    const isMadeHere = of !== undefined && !(of instanceof UnifiedConnectionManager);
    if (!isMadeHere) recordUse("UnifiedHealthMonitor");
    this.#host = of instanceof UnifiedConnectionManager ? of.host : (of ?? processHost);
  }

  /** Starts collecting in the background, where the configuration has monitoring on. */
  async start(): Promise<void> {
    await startHost(this.#host, ["pool", ...backgroundServices(this.#host.orchestrator)]);
    this.#isRunning = true;
  }

  /** Stops reporting; the collection itself ends with the orchestrator. */
  stop(): void {
    this.#isRunning = false;
  }

  isRunning(): boolean {
    return this.#isRunning && this.#host.isOpen;
  }

  /** Asks the primary and judges what runs. Never throws. */
  async performHealthCheck(): Promise<HealthSummary> {
    const issues: string[] = [];
    let reachable = true;
    let status: HealthWord = "unhealthy";
    try {
      const { orchestrator } = this.#host;
      await orchestrator.pool.query("select 1").catch((error: unknown) => {
        reachable = false;
        issues.push(`the primary does not answer: ${error instanceof Error ? error.message : String(error)}`);
      });
      const checks = [...(await orchestrator.health()).checks, ...orchestrator.pool.health().checks];
      const seen = new Map(checks.map((check) => [check.name, check]));
      for (const check of seen.values()) {
        if (check.status !== "pass") issues.push(`${check.name}: ${check.output ?? check.status}`);
      }
      const worst = worstStatus([...seen.values()].map((check) => check.status));
      status = reachable ? healthWord(worst) : "unhealthy";
    } catch (error) {
      issues.push(error instanceof Error ? error.message : String(error));
    }
    this.#last = { status, lastCheck: new Date().toISOString(), issues };
    return this.#last;
  }

  /** What the last check found. */
  getHealthSummary(): HealthSummary {
    return (
      this.#last ?? { status: "degraded", lastCheck: new Date(0).toISOString(), issues: ["no check was made yet"] }
    );
  }
}
