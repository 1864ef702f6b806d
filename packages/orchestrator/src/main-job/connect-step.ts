import { adviseOnConnection, DbError, type Finding } from "@db/core";
import type { Step } from "./step.ts";

/** The server is older than everything here supports. */
export class UnsupportedPostgresError extends DbError {
  override readonly code = "ORCHESTRATOR_UNSUPPORTED_SERVER";
}

class CannotConnectError extends DbError {
  override readonly code = "ORCHESTRATOR_CANNOT_CONNECT";
}

const identitySql = /* sql */ `
  select current_setting('server_version_num')::int as "versionNum",
         current_setting('server_version')          as version,
         current_database()                         as database,
         pg_catalog.pg_is_in_recovery()             as standby,
         current_user                               as role`;

interface Identity {
  readonly versionNum: number;
  readonly version: string;
  readonly database: string;
  readonly standby: boolean;
  readonly role: string;
}

export const connectStep: Step = {
  name: "connect",
  title: "Connections",
  needs: ["config"],
  async run({ orchestrator, signal }) {
    const { pool, config } = orchestrator;
    await orchestrator.start(["pool"], signal).catch((error: unknown) => {
      const advice = adviseOnConnection(error);
      if (!advice) throw error;
      const { database, host, port } = config.connection!;
      throw new CannotConnectError(`cannot connect to database "${database}" at ${host}:${port}: ${advice.reason}`, {
        cause: error,
        hint: advice.hint,
      });
    });
    // "any" would let a replica answer for the primary; it is for a database that has no primary in reach.
    const target = pool.stats().servers.some(({ role, state }) => role === "primary" && state === "up")
      ? "primary"
      : "any";
    const server = (await pool.query<Identity>(identitySql, [], { signal, target })).rows[0]!;
    if (server.versionNum < 120_000) {
      throw new UnsupportedPostgresError(`the server is PostgreSQL ${server.version}; 12 and later are supported`, {
        hint: "Upgrade the server; PostgreSQL 11 has had no fixes since November 2023.",
      });
    }
    const findings: Finding[] = [];
    if (server.standby) {
      findings.push({
        id: "DB-STANDBY-01",
        severity: "warn",
        title: "the database is in recovery: it can be read but not written",
        hint: "Point DATABASE_URL at the primary; what changes something is skipped here.",
      });
    }
    let replicas = 0;
    for (const state of pool.stats().servers.slice(1))
      if (state.state === "up" && state.role === "standby") replicas += 1;
    const roundTripMs = await roundTrip(() => pool.query("select 1", [], { signal, target }));
    const role = server.standby ? "standby" : "primary";
    const detail = `PostgreSQL ${server.version} ${role}, ${replicas} of ${config.connection?.replicaUrls.length ?? 0} replicas up, ${roundTripMs.toFixed(2)} ms a round trip`;
    return { detail, facts: { ...server, replicas, roundTripMs }, findings };
  },
};

async function roundTrip(query: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < 21; run += 1) {
    const startedAt = performance.now();
    await query();
    times.push(performance.now() - startedAt);
  }
  return times.toSorted((a, b) => a - b)[10]!;
}
