import type { Service } from "@db/core";

/**
 * Asks for the health of everything on an interval, so that `health:changed` is told when it changes and not when
 * somebody happens to look.
 */
export function createHealthWatch(health: () => Promise<unknown>, intervalMs: number): Service {
  let timer: NodeJS.Timeout | undefined;
  const service: Service = {
    name: "health",
    start: async () => {
      timer ??= setInterval(() => void health(), intervalMs).unref();
      await health();
    },
    stop: async () => {
      clearInterval(timer);
      timer = undefined;
    },
    health: () => ({ status: "pass", checks: [] }),
    [Symbol.asyncDispose]: () => service.stop(),
  };
  return service;
}
