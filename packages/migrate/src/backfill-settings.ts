import { parseDurationMs } from "@db/core";

/** How a backfill walks over its table. */
export interface BackfillSettings {
  /** As SQL names it. */
  readonly table: string;
  /** Columns of a unique index: the walk goes along them. */
  readonly key: readonly string[];
  /** Rows of the first batch; the next ones grow or shrink towards `batchMs`. Default 1 000. */
  readonly batchRows: number;
  /** How long a batch, and with it the lock on its rows, should last. Default 25. */
  readonly batchMs: number;
  /** Rest after each batch. Default 0. */
  readonly pauseMs: number;
  /** Waits while a standby replays later than this. Default 10 000; null does not look. */
  readonly maxReplicaLagMs: number | null;
}

/** Stands in the WHERE of a backfill's statement for the keys of one batch. */
export const batchMark = ":batch";

/** The statement as the parser can read it: of the same length, so that places stay what they are. */
export function withoutBatchMarks(sql: string): string {
  return sql.replaceAll(batchMark, "(true)");
}

/** Takes the settings of its own out of a `-- migrate:backfill` line. @throws {Error} with one sentence */
export function readBackfillSettings(rest: string): { readonly own: BackfillSettings; readonly others: string } {
  const found = new Map<string, string>();
  const others: string[] = [];
  for (const part of rest.split(/\s+/).filter(Boolean)) {
    const match = /^(table|key|batch|batch_time|pause|max_lag)=(.+)$/.exec(part);
    if (match) found.set(match[1] ?? "", match[2] ?? "");
    else others.push(part);
  }
  const table = found.get("table");
  const key = (found.get("key") ?? "").split(",").filter(Boolean);
  if (table === undefined || key.length === 0) {
    throw new Error("a backfill names its table and a unique key: migrate:backfill table=app.users key=id");
  }
  const batch = found.get("batch") ?? "1000";
  if (!/^[1-9]\d{0,6}$/.test(batch)) throw new Error(`batch is a number of rows from 1, not "${batch}"`);
  const lag = found.get("max_lag") ?? "10s";
  return {
    own: {
      table,
      key,
      batchRows: Number(batch),
      batchMs: durationOf("batch_time", found.get("batch_time") ?? "25ms"),
      pauseMs: durationOf("pause", found.get("pause") ?? "0ms"),
      maxReplicaLagMs: lag === "off" ? null : durationOf("max_lag", lag),
    },
    others: others.join(" "),
  };
}

function durationOf(name: string, value: string): number {
  try {
    return parseDurationMs(value);
  } catch {
    throw new Error(`${name} is a duration such as "25ms", not "${value}"`);
  }
}
