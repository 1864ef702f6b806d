import { formatDuration } from "@db/core";
import { adviceFor } from "../alerts/advice.ts";
import { samplesOf, type ServerSnapshot, type Snapshot } from "../snapshot.ts";

/** Something that happens at the same time and may be why. */
export interface Cause {
  readonly kind: "restart" | "setting" | "lock" | "query" | "transaction" | "maintenance";
  readonly text: string;
  readonly command?: string;
}

const hourMs = 3_600_000;
const longSeconds = 60;

type Looker = (server: ServerSnapshot, snapshot: Snapshot, now: number) => readonly Cause[];

/** What stands out on a server at one moment, what explains most first. */
export function causesOf(snapshot: Snapshot, name: string | undefined, now: number): readonly Cause[] {
  return snapshot.servers
    .filter((server) => name === undefined || server.name === name)
    .flatMap((server) => lookers.flatMap((look) => look(server, snapshot, now)));
}

const restart: Looker = ({ name, facts }, _, now) => {
  const startedAt = facts.identity?.startedAt;
  return startedAt !== undefined && now - Date.parse(startedAt) < hourMs
    ? [{ kind: "restart", text: `${name} started at ${startedAt}: its caches are cold.` }]
    : [];
};

const settings: Looker = ({ facts }, _, now) =>
  (facts.changedSettings ?? [])
    .filter(({ at }) => now - Date.parse(at) < hourMs)
    .map((change) => ({
      kind: "setting",
      text: `${change.name} was changed from ${change.from} to ${change.to}${change.unit && ` (${change.unit})`} at ${change.at}.`,
      command: `alter system set ${change.name} = '${change.from}${change.unit}'; select pg_reload_conf();`,
    }));

const locks: Looker = (server) => {
  const { hint, command } = adviceFor("PgBlockedSessions", {}, server);
  return hint === undefined ? [] : [{ kind: "lock", text: hint, ...(command !== undefined && { command }) }];
};

const queries: Looker = ({ name, facts }, snapshot) =>
  samplesOf(snapshot, "pg_query_regression_ratio")
    .filter(({ labels, value }) => labels["server"] === name && value >= 2)
    .toSorted((a, b) => b.value - a.value)
    .slice(0, 3)
    .map(({ labels, value }) => {
      const text = facts.statements?.top.find(({ queryId }) => queryId === labels["queryid"])?.text;
      return {
        kind: "query",
        text: `Query ${labels["queryid"]} is ${value.toFixed(1)} times slower than usual${text ? `: ${text.slice(0, 120)}` : ""}.`,
        command: `select query, mean_exec_time from pg_stat_statements where queryid = ${labels["queryid"]};`,
      };
    });

const transactions: Looker = ({ facts }) =>
  (facts.sessions ?? [])
    .filter(({ transactionSeconds }) => (transactionSeconds ?? 0) > longSeconds)
    .slice(0, 1)
    .map(({ pid, application, user, transactionSeconds }) => ({
      kind: "transaction",
      text: `Session ${pid} (${application || user}) has had a transaction open for ${formatDuration((transactionSeconds ?? 0) * 1000)}.`,
    }));

const maintenance: Looker = ({ name }, snapshot) =>
  ["vacuum", "create_index", "cluster", "basebackup"].flatMap((command) =>
    samplesOf(snapshot, `pg_stat_progress_${command}_ratio`)
      .filter(({ labels }) => labels["server"] === name)
      .slice(0, 1)
      .map(({ labels }) => ({
        kind: "maintenance" as const,
        text: `Session ${labels["pid"]} runs ${command.replace("_", " ")}${labels["datname"] ? ` in ${labels["datname"]}` : ""}.`,
      })),
  );

const lookers: readonly Looker[] = [restart, settings, locks, queries, transactions, maintenance];
