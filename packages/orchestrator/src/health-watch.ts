import type { Service } from "@db/core";
import type { Pool } from "@db/pool";

const changes = ["server-state", "breaker"] as const;

/**
 * Looks at the health of everything on an interval, and at once when the pool sees a server come or go, so that
 * `health:changed` is told when it changes and not when somebody happens to look. `false`: it never looks by itself.
 */
export function createHealthWatch(pool: Pool, health: () => Promise<unknown>, intervalMs: number | false): Service {
  let timer: NodeJS.Timeout | undefined;
  const look = (): void => void health();
  const service: Service = {
    name: "health",
    start: async () => {
      if (intervalMs === false || timer !== undefined) return;
      timer = setInterval(look, intervalMs).unref();
      for (const event of changes) pool.on(event, look);
      await health();
    },
    stop: async () => {
      clearInterval(timer);
      timer = undefined;
      for (const event of changes) pool.off(event, look);
    },
    health: () => ({ status: "pass", checks: [] }),
    [Symbol.asyncDispose]: () => service.stop(),
  };
  return service;
}
