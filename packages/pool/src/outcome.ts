import type { Clock } from "@db/core";
import { keepAlive } from "./keep-alive.ts";
import type { Server } from "./server.ts";
import type { OutcomeResolver } from "./transaction.ts";

const statusSql = /* sql */ `select pg_catalog.txid_status($1::bigint) as status`;

/**
 * Asks the server that ran a transaction what became of it, until it answers or `timeoutMs` have passed.
 *
 * Only that server can tell, and only on the timeline the transaction began on: a promoted standby may never have
 * received it, and may have given its id to another transaction since.
 * @see https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
 */
export function outcomeResolver(server: Server, clock: Clock, timeoutMs: number): OutcomeResolver {
  const timeline = server.observation?.timeline;
  return async (transactionId) => {
    const deadline = clock.now() + timeoutMs;
    for (let waitMs = 50; clock.now() < deadline; waitMs = Math.min(waitMs * 2, 1_000)) {
      try {
        const outcome = await keepAlive(server.probe.run());
        if ("observation" in outcome) {
          if (outcome.observation.inRecovery || outcome.observation.timeline !== timeline) return "unknown";
          const { rows } = await server.executor.execute({
            config: statusSql,
            values: [transactionId],
            signal: undefined,
            timeoutMs: 5_000,
          });
          const status = (rows[0] as { status: string | null }).status;
          if (status === "committed" || status === "aborted") return status;
          if (status === null) return "unknown";
        }
      } catch {
        // Still away: the next round asks again.
      }
      await clock.sleep(Math.min(waitMs, Math.max(0, deadline - clock.now())));
    }
    return "unknown";
  };
}
