import { type Queryable, quoteIdentifier } from "@db/core";
import {
  type CollectContext,
  type Collected,
  type Collector,
  counter,
  defineMetrics,
  gauge,
  type MetricColumn,
  toNumber,
} from "../collector.ts";
import type { StatementFact, StatementsFact } from "../facts.ts";
import { type RankedColumn, Ranking, type RankedTable } from "../ranked.ts";
import { isMarked, redactSql } from "../redact.ts";

const name = "stat_statements";
const total = (column: string): string => `s.${column}`;

type Versions = { readonly since?: number; readonly until?: number };

const sparse = (column: string, help: string, versions: Versions = {}): RankedColumn => ({
  ...counter(`pg_stat_statements_${column}_total`, total(column), help, versions),
  sparse: true,
});
const more = (column: string, help: string): RankedColumn => ({ ...sparse(column, help), detail: "full" });
const seconds = (column: string, from: string, help: string, versions: Versions): RankedColumn => ({
  ...counter(`pg_stat_statements_${column}_total`, total(from), help, versions),
  scale: 0.001,
});
const spread = (what: "min" | "max" | "stddev", help: string): readonly RankedColumn[] =>
  (
    [
      [`s.${what}_exec_time`, { since: 13 }],
      [`s.${what}_time`, { until: 12 }],
    ] as const
  ).map(([sql, versions]) => ({
    ...gauge(`pg_stat_statements_${what}_seconds`, sql, help, versions),
    scale: 0.001,
    other: "none",
    detail: "full",
  }));

/** Columns by the server version that first had them; an older extension left on a newer server keeps its own. */
const columns: readonly RankedColumn[] = [
  counter("pg_stat_statements_calls_total", total("calls"), "Times the statement was run"),
  seconds("seconds", "total_exec_time", "Time spent running it", { since: 13 }),
  seconds("seconds", "total_time", "Time spent running it", { until: 12 }),
  counter("pg_stat_statements_rows_total", total("rows"), "Rows it returned or changed"),
  seconds("block_read_seconds", "shared_blk_read_time", "Time reading blocks", { since: 17 }),
  seconds("block_read_seconds", "blk_read_time", "Time reading blocks", { until: 16 }),
  seconds("block_write_seconds", "shared_blk_write_time", "Time writing blocks", { since: 17 }),
  seconds("block_write_seconds", "blk_write_time", "Time writing blocks", { until: 16 }),
  counter("pg_stat_statements_shared_blks_hit_total", total("shared_blks_hit"), "Blocks found in shared buffers"),
  sparse("shared_blks_read", "Blocks read"),
  sparse("temp_blks_written", "Temporary blocks written"),
  seconds("plan_seconds", "total_plan_time", "Time planning it", { since: 13 }),
  counter("pg_stat_statements_wal_bytes_total", total("wal_bytes"), "WAL it wrote", { since: 13 }),
  more("shared_blks_dirtied", "Shared blocks dirtied"),
  more("shared_blks_written", "Shared blocks written"),
  more("local_blks_hit", "Blocks of temporary tables found in memory"),
  more("local_blks_read", "Blocks of temporary tables read"),
  more("local_blks_dirtied", "Blocks of temporary tables dirtied"),
  more("local_blks_written", "Blocks of temporary tables written"),
  more("temp_blks_read", "Temporary blocks read"),
  ...spread("min", "Shortest time of one run"),
  ...spread("max", "Longest time of one run"),
  ...spread("stddev", "Standard deviation of the time of a run"),
];

const summary: readonly Omit<MetricColumn, "sql">[] = [
  gauge("pg_stat_statements_entries", "", "Statements being tracked"),
  gauge("pg_stat_statements_entries_ratio", "", "Statements being tracked against pg_stat_statements.max"),
  counter("pg_stat_statements_dealloc_total", "", "Times the least used statements were thrown out", { since: 14 }),
];

const labelNames = ["user", "datname", "queryid"] as const;

type Values = readonly (number | null)[];

// The text file is read whole by the server for every call that wants texts: a five-thousandth of the time may go to
// it, so that a small file gives new texts within the minute and a large one every five.
const textTimeShare = 0.0002;
const textEveryAtMostMs = 300_000;

const stateSql = /* sql */ `
  select n.nspname as schema, e.extversion as version,
         pg_catalog.current_setting('pg_stat_statements.max', true) as max,
         pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'usage') as readable
    from (select 1) as one
    left join pg_catalog.pg_extension e on e.extname = 'pg_stat_statements'
    left join pg_catalog.pg_namespace n on n.oid = e.extnamespace`;

interface State {
  readonly schema: string;
  readonly extensionVersion: string;
  readonly max: number;
  /** False when only the role's own statements can be told apart. */
  readonly readable: boolean;
}

interface Text {
  readonly text: string;
  readonly own: boolean;
}

type Texts = Map<string, Text>;

interface StateRow {
  readonly schema: string | null;
  readonly version: string | null;
  readonly max: string | null;
  readonly readable: boolean;
}

/** The statements that take most of the server's time, with everything else as `other`. */
export const statementCollector: Collector = {
  name,
  tier: "T1",
  per: "server",
  scope: "any",
  since: 12,
  metrics: [
    ...defineMetrics(columns, { name, tier: "T1" }, labelNames),
    ...defineMetrics(summary, { name, tier: "T1" }, []),
  ],
  begin: () => {
    const texts: Texts = new Map();
    let textsDueAt = Number.NEGATIVE_INFINITY;
    let ranking: Ranking | undefined;
    return async (session, context) => {
      const state = await readState(session);
      if (typeof state === "string") return unavailable(state);
      ranking ??= new Ranking({ limit: context.limits.statements, stickyMs: context.limits.stickyMs });
      const shape = { ...context, version: shapeOf(state.extensionVersion) };
      const ranked = await named(session, await ranking.read(session, rankedOptions(state, shape.version), shape));
      const unknown = ranked.table.rows.flatMap(({ labels }, i) =>
        ranked.ids[i] !== null && !texts.has(labels[2]!) ? labels[2]! : [],
      );
      if (unknown.length > 0 && context.now >= textsDueAt) {
        const startedAt = performance.now();
        for (const [id, text] of await readTexts(session, state, unknown)) texts.set(id, text);
        const tookMs = performance.now() - startedAt;
        textsDueAt = context.now + Math.min(textEveryAtMostMs, tookMs / textTimeShare);
        forgetTexts(texts, ranked, context);
      }
      return {
        tables: [ranked.table, await readSummary(session, state, shape.version, ranked.count)],
        facts: {
          statements: {
            state: state.readable ? "ready" : "no-privilege",
            extensionVersion: state.extensionVersion,
            top: toFacts(ranked, texts),
          },
        },
      };
    };
  },
};

function unavailable(state: StatementsFact["state"]): Collected {
  return { tables: [], facts: { statements: { state, top: [] } } };
}

async function readState(session: Queryable): Promise<State | "not-loaded" | "not-installed"> {
  const { rows } = await session.query<StateRow>(stateSql);
  const row = rows[0];
  // The parameter exists only where the library was loaded at start.
  if (!row || row.max === null) return "not-loaded";
  if (row.schema === null || row.version === null) return "not-installed";
  return { schema: row.schema, extensionVersion: row.version, max: Number(row.max), readable: row.readable };
}

/** The server version whose columns an extension version has. */
export function shapeOf(extensionVersion: string): number {
  const minor = Number(extensionVersion.split(".")[1] ?? 0);
  if (minor >= 12) return 18;
  if (minor >= 11) return 17;
  if (minor >= 10) return 15;
  if (minor >= 9) return 14;
  return minor >= 8 ? 13 : 12;
}

function rankedOptions({ schema }: State, version: number): Parameters<Ranking["read"]>[1] {
  return {
    key: [
      { sql: "s.userid", type: "oid" },
      { sql: "s.dbid", type: "oid" },
      { sql: "s.queryid", type: "bigint" },
    ],
    labels: {},
    otherLabels: () => [],
    from: `${quoteIdentifier(schema)}.pg_stat_statements(false) s`,
    rank: version >= 13 ? "s.total_exec_time" : "s.total_time",
    columns,
    // From 14 on a statement has a row as top-level and one as nested: they are one statement to a reader.
    merge: mergeRuns,
  };
}

/** Two rows of one statement as one: counts add up, of times the spread is that of all runs. */
function mergeRuns(a: Values, b: Values, metrics: readonly string[]): Values {
  const at = (values: Values, what: string): number => values[metrics.indexOf(`pg_stat_statements_${what}`)] ?? 0;
  const [n, m] = [at(a, "calls_total"), at(b, "calls_total")];
  const all = Math.max(1, n + m);
  const mean = (at(a, "seconds_total") + at(b, "seconds_total")) / all;
  const variance = (values: Values): number =>
    at(values, "stddev_seconds") ** 2 +
    (at(values, "seconds_total") / Math.max(1, at(values, "calls_total")) - mean) ** 2;
  return metrics.map((metric, i) => {
    const [x, y] = [a[i] ?? 0, b[i] ?? 0];
    if (metric.endsWith("_min_seconds")) return Math.min(x, y);
    if (metric.endsWith("_max_seconds")) return Math.max(x, y);
    if (metric.endsWith("_stddev_seconds")) return Math.sqrt((variance(a) * n + variance(b) * m) / all);
    return x + y;
  });
}

const namesSql = /* sql */ `
  select 'role' as kind, oid::text as id, rolname::text as name from pg_catalog.pg_roles
   where oid = any($1::oid[])
  union all
  select 'database', oid::text, datname::text from pg_catalog.pg_database`;

/** Puts names to the numbers of roles and databases, which cost the server more in every row than once. */
async function named(session: Queryable, ranked: RankedTable): Promise<RankedTable> {
  const parts = ranked.ids.map((id) => id?.split("/") ?? []);
  const users = [...new Set(parts.flatMap(([user]) => user ?? []))];
  const { rows } = await session.query<{ kind: string; id: string; name: string }>(namesSql, [`{${users.join(",")}}`]);
  const namesOf = (wanted: string): ReadonlyMap<string, string> =>
    new Map(rows.flatMap(({ kind, id, name: text }) => (kind === wanted ? [[id, text] as const] : [])));
  const roles = namesOf("role");
  const databases = namesOf("database");
  return {
    ...ranked,
    table: {
      ...ranked.table,
      labelNames,
      rows: ranked.table.rows.map(({ values }, i) => {
        const [user = "", database = "", queryId = "other"] = parts[i]!;
        return { labels: [roles.get(user) ?? "", databases.get(database) ?? "", queryId], values };
      }),
    },
  };
}

async function readTexts(
  session: Queryable,
  { schema }: State,
  ids: readonly string[],
): Promise<readonly (readonly [string, Text])[]> {
  const { rows } = await session.query<{ id: string; text: string | null }>(
    `select queryid::text as id, min(left(query, 8192)) as text
       from ${quoteIdentifier(schema)}.pg_stat_statements(true)
      where queryid = any(string_to_array($1, ',')::bigint[]) group by 1`,
    [ids.join(",")],
  );
  return rows.map(({ id, text }) => [id, { text: redactSql(text ?? "", 8192), own: isMarked(text ?? "") }]);
}

function forgetTexts(texts: Texts, { table }: RankedTable, { limits }: CollectContext): void {
  if (texts.size <= limits.statements * 4) return;
  const present = new Set(table.rows.map(({ labels }) => labels[2]));
  for (const id of texts.keys()) if (!present.has(id)) texts.delete(id);
}

async function readSummary(
  session: Queryable,
  state: State,
  version: number,
  entries: number,
): Promise<Collected["tables"][number]> {
  const values = [entries, entries / state.max, version >= 14 ? await readDeallocations(session, state) : null];
  return { labelNames: [], metrics: summary.map((column) => column.name), rows: [{ labels: [], values }] };
}

async function readDeallocations(session: Queryable, { schema }: State): Promise<number | null> {
  const { rows } = await session.query<{ dealloc: unknown }>(
    `select dealloc::float8 as dealloc from ${quoteIdentifier(schema)}.pg_stat_statements_info`,
  );
  return toNumber(rows[0]?.dealloc);
}

function toFacts({ table }: RankedTable, texts: Texts): readonly StatementFact[] {
  const at = (column: string): number => table.metrics.indexOf(`pg_stat_statements_${column}_total`);
  const calls = at("calls");
  const totalSeconds = at("seconds");
  const rows = at("rows");
  const sharedBlocksHit = at("shared_blks_hit");
  const sharedBlocksRead = at("shared_blks_read");
  const tempBlocksWritten = at("temp_blks_written");
  return table.rows.map(({ labels, values }) => {
    const known = texts.get(labels[2] ?? "");
    const fact = {
      user: labels[0] ?? "",
      database: labels[1] ?? "",
      queryId: labels[2] ?? "",
      calls: values[calls] ?? 0,
      totalSeconds: values[totalSeconds] ?? 0,
      rows: values[rows] ?? 0,
      sharedBlocksHit: values[sharedBlocksHit] ?? 0,
      sharedBlocksRead: values[sharedBlocksRead] ?? 0,
      tempBlocksWritten: values[tempBlocksWritten] ?? 0,
      own: known?.own ?? false,
    };
    return known ? { ...fact, text: known.text } : fact;
  });
}
