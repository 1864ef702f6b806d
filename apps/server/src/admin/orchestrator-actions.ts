import { formatBytes, formatDuration, isDbError } from "@db/core";
import type { Orchestrator, SessionEnd } from "@db/orchestrator";
import { ActionRefusedError } from "../errors.ts";
import { integer, object, string } from "../route-doc.ts";
import type { AdminAction, Audited } from "./action.ts";
import { restoreActions } from "./restore-action.ts";
import { silenceActions } from "./silence-actions.ts";

/** What an orchestrator can be asked to do over HTTP. A read-only one can be asked nothing. */
export function actionsOf(orchestrator: Orchestrator): readonly AdminAction[] {
  if (orchestrator.readOnly) return [];
  // The services write the line of the audit trail; it names whoever held the token, and the plan they agreed to.
  const audited: Audited = ({ actor, plan }, work) => orchestrator.audit.onBehalf({ actor, details: { plan } }, work);
  return [
    endSession(orchestrator, "cancel", audited),
    endSession(orchestrator, "terminate", audited),
    {
      name: "statements.reset",
      group: "statements",
      path: "statements/reset",
      scope: "admin",
      summary: "set the counters of pg_stat_statements to zero",
      async plan() {
        const { rows, note } = await orchestrator.sessions.inspect("queries", { limit: 1 });
        if (rows.length === 0) throw new ActionRefusedError(404, note ?? "no statement was counted yet");
        return {
          title: "Set the counters of all statements to zero",
          facts: ["What was counted until now is gone; rates and rankings begin again."],
          sql: ["select pg_stat_statements_reset()"],
          identity: null,
        };
      },
      execute: (_args, run) => audited(run, async () => ({ reset: await orchestrator.sessions.resetStatements() })),
    },
    backup(orchestrator, audited),
    drill(orchestrator, audited),
    ...restoreActions(orchestrator, audited),
    migrate(orchestrator, audited),
    createIndex(orchestrator, audited),
    ...silenceActions(orchestrator, audited),
  ];
}

function endSession({ sessions }: Orchestrator, how: SessionEnd, audited: Audited): AdminAction {
  const find = async (pid: number, backendStart: string) => {
    const { rows } = await sessions.inspect("sessions", { limit: 1_000 });
    const found = rows.find((row) => row["pid"] === pid);
    if (!found) throw new ActionRefusedError(404, `there is no client session with pid ${pid}`);
    if (found["backendStart"] !== backendStart) {
      throw new ActionRefusedError(409, `pid ${pid} is another session by now`, "Look again at who is connected.");
    }
    return found;
  };
  return {
    name: `sessions.${how}`,
    group: "sessions",
    path: `sessions/:pid/${how}`,
    scope: "operate",
    summary: how === "cancel" ? "cancel the statement of a session" : "end a session",
    params: object({ pid: { ...integer, minimum: 1, maximum: 2_147_483_647 } }),
    body: object({
      backendStart: {
        ...string,
        maxLength: 40,
        pattern: String.raw`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$`,
        description: "When it connected, as the sessions are listed: a pid alone may be another's",
      },
    }),
    async plan({ pid, backendStart }) {
      const row = await find(Number(pid), String(backendStart));
      const said = (name: string): string => String(row[name] ?? "none");
      const age = (name: string): string => (row[name] === null ? "none" : formatDuration(Number(row[name]) * 1_000));
      return {
        title: how === "cancel" ? `Cancel the statement of session ${pid}` : `End session ${pid}`,
        facts: [
          `Role ${said("user")}, application “${said("application")}”, database ${said("database")}.`,
          `State ${said("state")}, transaction open for ${age("transactionSeconds")}, statement for ${age("querySeconds")}.`,
          `Statement: ${said("query")}`,
          how === "cancel"
            ? "Its statement fails with 57014; a transaction it is in must be rolled back by its application."
            : "Its connection closes and its transaction is rolled back; the application must connect again.",
        ],
        sql: [`select pg_${how}_backend(${pid})`],
        identity: { pid, backendStart },
      };
    },
    execute: ({ pid, backendStart }, run) =>
      audited(run, async () => ({
        signalled: await sessions.end(how, { pid: Number(pid), backendStart: String(backendStart) }),
      })),
  };
}

function backup({ backups, config }: Orchestrator, audited: Audited): AdminAction {
  return {
    name: "backups.run",
    group: "backups",
    path: "backups",
    scope: "operate",
    summary: "take a full backup into the configured repository",
    async plan() {
      const [newest] = await backups.list();
      return {
        title: `Take a full backup of ${config.connection?.database ?? "the database"}`,
        facts: [
          newest
            ? `The newest one is ${newest.label}, ${formatBytes(newest.bytes)} stored as ${formatBytes(newest.storedBytes)}.`
            : "It is the first one.",
          "It reads the whole cluster over a replication connection and writes into the configured repository.",
        ],
        sql: [],
        identity: newest?.label ?? null,
      };
    },
    execute: (_args, run) =>
      audited(run, async () => {
        const { label, bytes, storedBytes, durationMs } = await backups.run({
          signal: run.signal,
          onProgress: run.onProgress,
        });
        return { label, bytes, storedBytes, durationMs };
      }),
  };
}

function drill({ backups }: Orchestrator, audited: Audited): AdminAction {
  return {
    name: "drills.run",
    group: "drills",
    path: "drills",
    scope: "operate",
    summary: "restore the newest backup into a cluster of its own and check it",
    async plan() {
      const newest = (await backups.list()).find(({ status }) => status === "complete");
      if (!newest) throw new ActionRefusedError(404, "there is no complete backup to restore", "Take one first.");
      return {
        title: `Restore ${newest.label} on trial`,
        facts: [
          `${formatBytes(newest.bytes)} are restored into a temporary cluster on the server's machine, started and read.`,
          "The database itself is not touched; the temporary cluster is removed.",
        ],
        sql: [],
        identity: newest.label,
      };
    },
    execute: (_args, run) =>
      audited(run, async () => {
        const { label, ok, durationMs } = await backups.drill({ signal: run.signal, onProgress: run.onProgress });
        return { label, ok, durationMs };
      }),
  };
}

function migrate({ migrations }: Orchestrator, audited: Audited): AdminAction {
  const pending = async () => {
    const plan = await migrations.plan().catch((error: unknown) => {
      // Refusals of the planner are about the migrations, and say so.
      if (isDbError(error)) throw new ActionRefusedError(409, error.message, error.hint);
      throw error;
    });
    if (plan.migrations.length === 0) throw new ActionRefusedError(404, "no migration is pending");
    return plan;
  };
  return {
    name: "migrations.apply",
    group: "migrations",
    path: "migrations",
    scope: "admin",
    summary: "apply the pending migrations, after a backup",
    async plan() {
      const plan = await pending();
      return {
        title: `Apply ${plan.migrations.length} ${plan.migrations.length === 1 ? "migration" : "migrations"}`,
        facts: [...plan.migrations.map(({ id }) => id), "A full backup is taken first, under the migration lock."],
        sql: plan.migrations.flatMap(({ statements }) => statements.map(({ sql }) => sql)),
        identity: plan.migrations.map(({ id }) => id),
      };
    },
    execute: (_args, run) =>
      audited(run, async () => {
        const { durationMs } = await migrations.apply(await pending(), {
          safetyBackup: true,
          signal: run.signal,
          onProgress: run.onProgress,
        });
        return { durationMs };
      }),
  };
}

function createIndex({ indexes }: Orchestrator, audited: Audited): AdminAction {
  const find = async (id: string) => {
    const { recommendations } = await indexes.analyze();
    const found = recommendations.find((each) => each.id === id);
    if (!found) throw new ActionRefusedError(404, "no index of that name is recommended");
    return found;
  };
  return {
    name: "indexes.create",
    group: "indexes",
    path: "indexes/:id",
    scope: "admin",
    summary: "create a recommended index without blocking writes",
    params: object({ id: { ...string, minLength: 1, maxLength: 63 } }),
    async plan({ id }) {
      const recommendation = await find(String(id));
      const { statements } = await indexes.apply(recommendation, { dryRun: true });
      return {
        title: `Create index ${recommendation.id} on ${recommendation.definition.table}`,
        facts: [recommendation.why, "It is built concurrently: reads and writes go on, and a failed build is removed."],
        sql: statements,
        identity: recommendation.id,
      };
    },
    execute: ({ id }, run) =>
      audited(run, async () => {
        const { index, outcome, durationMs } = await indexes.apply(await find(String(id)), {
          signal: run.signal,
          onProgress: run.onProgress,
        });
        return { index, outcome, durationMs };
      }),
  };
}
