import { AbortedError, type Logger, messageOf, type Service } from "@db/core";
import { ServiceStartError, ServiceStopError } from "./errors.ts";
import type { Events } from "./events.ts";

/** A service and what must run before it. */
export interface ServiceNode {
  readonly name: string;
  readonly dependsOn: readonly string[];
  /** Makes the service; called once, on the first start. Making opens no connection. */
  readonly create: () => Service;
}

export interface LifecycleOptions {
  readonly events: Events;
  readonly logger: Logger;
  readonly startTimeoutMs: number;
  readonly stopTimeoutMs: number;
}

/**
 * Starts services in dependency order and stops them in the reverse order, each within a bound. A service that
 * nobody starts is never made. When one fails to start, those started by the same call are stopped again.
 */
export interface Lifecycle {
  /**
   * Starts services and all they depend on; concurrent calls share one start. When one fails, those that this call
   * had started are stopped again.
   * @throws {ServiceStartError}
   */
  start(names: readonly string[], signal?: AbortSignal): Promise<void>;
  /** Stops everything that runs. @throws {ServiceStopError} after every service was asked */
  stop(): Promise<void>;
  readonly running: readonly Service[];
}

export function createLifecycle(nodes: readonly ServiceNode[], options: LifecycleOptions): Lifecycle {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const made = new Map<string, Service>();
  // In the order in which they came up: stopping walks it backwards.
  const running: Service[] = [];
  let queue: Promise<unknown> = Promise.resolve();
  // One start or stop at a time: two of them interleaved could leave a service up that its dependency left.
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = queue.then(work);
    queue = result.catch(() => undefined);
    return result;
  };

  const startOne = async (name: string, signal: AbortSignal | undefined): Promise<Service | undefined> => {
    const node = byName.get(name)!;
    const service = made.get(name) ?? node.create();
    made.set(name, service);
    if (running.includes(service)) return undefined;
    const startedAt = performance.now();
    try {
      await bounded(
        (inner) => service.start(inner),
        options.startTimeoutMs,
        `no answer after ${options.startTimeoutMs} ms`,
        signal,
      );
    } catch (error) {
      options.events.emit("service:failed", { service: name, message: messageOf(error) });
      // What is half up may hold connections: it is stopped like the others, whatever it answers.
      await stopOne(service).catch(() => undefined);
      throw new ServiceStartError(name, error, messageOf(error));
    }
    running.push(service);
    options.events.emit("service:started", { service: name, durationMs: performance.now() - startedAt });
    return service;
  };

  const stopOne = async (service: Service): Promise<void> => {
    const startedAt = performance.now();
    const at = running.indexOf(service);
    if (at >= 0) running.splice(at, 1);
    // The service bounds itself; a second, slightly longer bound catches the one that does not.
    await bounded(
      () => service.stop({ timeoutMs: options.stopTimeoutMs }),
      options.stopTimeoutMs + 1_000,
      `no answer after ${options.stopTimeoutMs + 1_000} ms`,
    );
    options.events.emit("service:stopped", { service: service.name, durationMs: performance.now() - startedAt });
  };

  return {
    start: (names, signal) =>
      inTurn(async () => {
        const startedHere: Service[] = [];
        try {
          for (const next of names.flatMap((name) => startOrder(byName, name))) {
            const service = await startOne(next, signal);
            if (service) startedHere.push(service);
          }
        } catch (error) {
          for (const service of startedHere.toReversed()) {
            await stopOne(service).catch((stopError: unknown) => {
              options.logger.warn({ service: service.name, err: stopError }, "service did not stop cleanly");
            });
          }
          throw error;
        }
      }),
    stop: () =>
      inTurn(async () => {
        const failures: { service: string; error: unknown }[] = [];
        for (const service of running.toReversed()) {
          await stopOne(service).catch((error: unknown) => failures.push({ service: service.name, error }));
        }
        if (failures.length > 0) throw new ServiceStopError(failures);
      }),
    get running() {
      return [...running];
    },
  };
}

/** `name` after everything it needs; a missing or circular dependency is a programming error. */
export function startOrder(nodes: ReadonlyMap<string, ServiceNode>, name: string): readonly string[] {
  const order: string[] = [];
  const visit = (current: string, path: readonly string[]): void => {
    if (order.includes(current)) return;
    if (path.includes(current)) throw new Error(`services depend on each other: ${[...path, current].join(" → ")}`);
    const node = nodes.get(current);
    if (!node) throw new Error(`no service named "${current}"; known: ${[...nodes.keys()].join(", ")}`);
    for (const needed of node.dependsOn) visit(needed, [...path, current]);
    order.push(current);
  };
  visit(name, []);
  return order;
}

async function bounded<T>(
  work: (signal: AbortSignal) => Promise<T>,
  timeoutMs: number,
  detail: string,
  outer?: AbortSignal,
): Promise<T> {
  // A timer of our own and not AbortSignal.timeout, which keeps no process alive: somebody awaits this.
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), timeoutMs);
  const signal = outer ? AbortSignal.any([outer, timeout.signal]) : timeout.signal;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => {
    reject(new AbortedError(timeout.signal.aborted ? detail : "aborted", { cause: signal.reason }));
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work(signal), aborted]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    aborted.catch(() => undefined);
  }
}
