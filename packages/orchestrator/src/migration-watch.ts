import { type Logger, messageOf, type Service } from "@db/core";

/** Files of migrations come with a release: it is enough to look every few minutes. */
const lookMs = 300_000;

/**
 * Looks now and then at what is pending, so that the number is known where nobody asks for it. A look that fails is no
 * fault of the database that the monitor would not tell of better; where there is no folder nothing is pending.
 */
export function createMigrationWatch(look: () => Promise<unknown>, logger: Logger): Service {
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> | undefined;
  const lookOnce = (): void => {
    looking ??= look()
      .then(
        () => undefined,
        (error: unknown) => logger.debug({ reason: messageOf(error) }, "what is pending could not be read"),
      )
      .finally(() => (looking = undefined));
  };
  const service: Service = {
    name: "migrations",
    start: async () => {
      if (timer !== undefined) return;
      timer = setInterval(lookOnce, lookMs).unref();
      lookOnce();
    },
    stop: async ({ timeoutMs = 10_000 } = {}) => {
      clearInterval(timer);
      timer = undefined;
      await Promise.race([looking, new Promise((resolve) => setTimeout(resolve, timeoutMs).unref())]);
    },
    health: () => ({ status: "pass", checks: [] }),
    [Symbol.asyncDispose]: () => service.stop(),
  };
  return service;
}
