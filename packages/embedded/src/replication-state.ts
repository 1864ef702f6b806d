import type { ReplicationState } from "./cluster.ts";

// What waiting does not mend: the standby has to be made again.
const lostReplication = [
  /requested WAL segment \S+ has already been removed/,
  /highest timeline \d+ of the primary is behind recovery timeline/,
  /requested starting point \S+ is ahead of the WAL flush position/,
  /requested timeline \d+ (?:is not in this server's history|does not contain)/,
  /replication slot "\w+" does not exist/,
  /can no longer (?:get changes|access) .*replication slot/,
  /database system identifier differs/,
  /new timeline \d+ is not a child of database system timeline/,
  /new timeline \d+ forked off current database system timeline/,
];

/** What the log of a standby says of streaming. The last word counts: one that lost its primary may find it again. */
export function replicationStateOf(log: string): ReplicationState {
  let state: ReplicationState = { state: "waiting", reason: "" };
  for (const line of log.split("\n")) {
    if (/started streaming WAL|restarted WAL streaming/.test(line)) state = { state: "streaming", reason: "" };
    else if (/replication terminated by primary|terminating walreceiver/.test(line)) {
      state = { state: "waiting", reason: "" };
    } else if (lostReplication.some((pattern) => pattern.test(line))) {
      state = { state: "failed", reason: line.replace(/^.*?(?=FATAL|LOG|ERROR)/, "").trim() };
    }
  }
  return state;
}
