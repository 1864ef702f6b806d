import type { Engine } from "./engine.ts";
import { loggable } from "./sql-text.ts";

/** How a drain went. */
export interface DrainReport {
  readonly tookMs: number;
  /** Connections whose holder did not give them back in time and that were cut off. */
  readonly cutOff: readonly {
    readonly server: string;
    readonly heldMs: number;
    readonly stack: string | undefined;
    readonly lastStatement: string | undefined;
  }[];
}

/** Ends the engine: gently for `timeoutMs`, then by cancelling and cutting off what is left. */
export async function drainPool(engine: Engine, timeoutMs: number): Promise<DrainReport> {
  const started = performance.now();
  const { servers } = engine.topology;
  engine.gate.end();
  const gentle = Promise.all(servers.map(({ connections }) => connections.drain()));
  const late = Promise.withResolvers<"late">();
  const timer = Number.isFinite(timeoutMs) ? setTimeout(() => late.resolve("late"), timeoutMs) : undefined;
  const outcome = await Promise.race([gentle, late.promise]);
  clearTimeout(timer);
  const cutOff: DrainReport["cutOff"][number][] = [];
  if (outcome === "late") {
    const now = performance.now();
    for (const { connections } of servers) {
      for (const { server, checkout, lastStatement } of connections.lent) {
        const last = lastStatement === undefined ? undefined : loggable(lastStatement);
        cutOff.push({ server, heldMs: now - checkout!.since, stack: checkout!.stack, lastStatement: last });
      }
    }
    // Closing a socket leaves the backend running its statement until it next writes, so it is told first.
    await Promise.all(
      servers.flatMap((server) =>
        server.connections.lent.filter(({ busy }) => busy).map((connection) => server.statements.cancel(connection)),
      ),
    );
    for (const { connections } of servers) connections.forceClose();
    await gentle;
    engine.options.logger.warn({ cutOff: cutOff.length }, "the pool was closed by force");
  }
  await engine.listener.end();
  await engine.topology.end();
  return { tookMs: performance.now() - started, cutOff };
}
