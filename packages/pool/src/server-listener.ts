import type { Gate } from "./gate.ts";
import { describeLoss, type LeakWatch } from "./leak.ts";
import type { ResolvedPoolOptions } from "./options.ts";
import type { PoolSignals } from "./pool-events.ts";
import type { ServerListener } from "./server.ts";
import { loggable } from "./sql-text.ts";
import type { PoolCounters } from "./stats.ts";

/** Counts, logs and passes on what the servers tell. */
export function listenToServers(of: {
  readonly options: ResolvedPoolOptions;
  readonly counters: PoolCounters;
  readonly leaks: LeakWatch;
  readonly signals: PoolSignals;
  readonly gate: Gate;
  readonly schemaChanged: () => void;
}): ServerListener {
  const { options, counters, leaks, signals, gate, schemaChanged } = of;
  return {
    schemaChanged,
    connected: (client) => signals.connected(client),
    acquired: (client) => signals.acquired(client),
    released: (error, client) => signals.released(error, client),
    removed: (client) => signals.removed(client),
    idleFailed: (error, connection) => {
      counters.idleFailures += 1;
      options.logger.info({ server: connection.server, error: error.message }, "an idle connection ended");
      connection.show((client) => signals.idleFailed(error, client));
    },
    lentFailed: (error, connection, heard) => {
      const lost = describeLoss(error, connection);
      options.logger.warn({ ...lost, error: error.message }, "a connection was lost while it was checked out");
      connection.show((client) => signals.lentFailed(lost, heard ? undefined : client));
    },
    lent: (connection) => leaks.lent(connection),
    returned: (connection) => {
      leaks.returned(connection);
      gate.noted();
    },
    garbled: ({ server }) => {
      counters.protocolErrors += 1;
      options.logger.warn({ server }, "a server sent what is no message of PostgreSQL's; its connection was closed");
    },
    leftOpen: (connection) => {
      counters.leftOpen += 1;
      const { server, checkout } = connection;
      options.logger.warn({ server, stack: checkout?.stack }, "a connection came back inside a transaction");
    },
    breakerChanged: (server, state) => {
      options.logger[state === "open" ? "warn" : "info"]({ server: server.name, state }, "the circuit changed");
      signals.breakerChanged({ server: server.name, state });
    },
    statementFinished: ({ text, durationMs, server, failed }) => {
      counters.queryMs.observeMs(durationMs);
      if (failed) counters.failedQueries += 1;
      if (options.slowQueryThresholdMs === false || durationMs < options.slowQueryThresholdMs) return;
      counters.slowQueries += 1;
      signals.slowQuery({ statement: loggable(text), durationMs, server, failed });
    },
    statementStopped: (why) => {
      if (why === "timeout") counters.queryTimeouts += 1;
      else counters.queryAborts += 1;
    },
  };
}
