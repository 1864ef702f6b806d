import { recordUse } from "../use.ts";
import { UnifiedConnectionManager } from "./connection-manager.ts";
import { type ConnectionManagerConfig, flagsOf } from "./connection-options.ts";
import { createHost } from "../host.ts";

/** The older name of `UnifiedConnectionManager`: what one makes is an instance of the other. */
export const DatabaseConnectionPool: typeof UnifiedConnectionManager = new Proxy(UnifiedConnectionManager, {
  construct(target, [config = {}]: [ConnectionManagerConfig?], newTarget) {
    recordUse("DatabaseConnectionPool");
    return Reflect.construct(target, [config, createHost(flagsOf(config))], newTarget) as UnifiedConnectionManager;
  },
});

/** The older name of `UnifiedConnectionManager`. */
export type DatabaseConnectionPool = UnifiedConnectionManager;
