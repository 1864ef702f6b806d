import { existsSync } from "node:fs";
import type { Transaction } from "@db/pool";
import type pg from "pg";
import { backgroundServices, processHost, startHost } from "../host.ts";
import { recordUse } from "../use.ts";
import { processManager } from "./connection-manager.ts";
import { type DatabaseHealthStatus, readHealthStatus } from "./health-status.ts";
import { type DatabaseServices, servicesOf } from "./services.ts";

/** Every database service of the process behind one object. Works without `initialize`; that adds the schedules. */
export interface DatabaseIntegrationService {
  /**
   * Connects, applies what migrations are pending where there is a folder of them, starts monitoring and the
   * schedules that the configuration has on. @throws {ServiceStartError}
   */
  initialize(): Promise<void>;
  /** Stops everything, each service within its bound. */
  shutdown(): Promise<void>;
  /** A read goes to a replica that has what was written here before it, unless `useReadReplica` is false. */
  // oxlint-disable-next-line typescript/no-explicit-any -- the old type
  query<R extends pg.QueryResultRow = any>(
    text: string,
    values?: readonly unknown[],
    useReadReplica?: boolean,
  ): Promise<pg.QueryResult<R>>;
  /** Commits when `callback` returns, rolls back when it throws. */
  transaction<T>(callback: (client: Transaction) => Promise<T>): Promise<T>;
  /** Looks at connections, migrations, performance, backups and data. Never throws. */
  getHealthStatus(): Promise<DatabaseHealthStatus>;
  getServices(): DatabaseServices;
}

let singleton: DatabaseIntegrationService | undefined;

/** The services of the process, made from the environment. Nothing is opened before the first use. */
export function getDatabaseIntegration(): DatabaseIntegrationService {
  recordUse("getDatabaseIntegration");
  return processIntegration();
}

/** The same as `getDatabaseIntegration().getServices()`. */
export function getServices(): DatabaseServices {
  recordUse("getServices");
  return processIntegration().getServices();
}

function processIntegration(): DatabaseIntegrationService {
  return (singleton ??= createIntegration());
}

function createIntegration(): DatabaseIntegrationService {
  const manager = processManager();
  const services = servicesOf(processHost, manager);
  return {
    async initialize() {
      await startHost(processHost, ["pool"]);
      const { application, migrations } = processHost.orchestrator;
      if (application !== undefined || existsSync(migrations.directory))
        await services.migrationManager.runMigrations();
      await startHost(processHost, [...backgroundServices(processHost.orchestrator), "jobs"]);
    },
    shutdown: () => processHost.close(),
    query: (text, values, useReadReplica) => manager.query(text, values, useReadReplica),
    transaction: (callback) => manager.transaction(callback),
    getHealthStatus: () => readHealthStatus(processHost, services),
    getServices: () => services,
  };
}
