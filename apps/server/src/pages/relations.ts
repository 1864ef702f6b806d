import type { Part } from "@db/dashboard";
import { valueOf } from "@db/orchestrator";
import { seriesChart } from "./charts.ts";
import { daysFact } from "./days-left.ts";
import type { PageContext } from "./known.ts";
import { inspectPart } from "./tables.ts";

/** Tables, dead rows, vacuum and the way to a freeze. */
export async function tablesPage(context: PageContext): Promise<readonly Part[]> {
  const { orchestrator } = context;
  const [tables, vacuum, xmin, progress, bloat, sequences] = await Promise.all(
    ["tables", "vacuum", "xmin", "progress", "bloat", "sequences"].map((name) => context.inspect(name)),
  );
  const ids = orchestrator.monitor.forecasts().filter(({ unit, days }) => unit === "ids" && days !== null);
  return [
    inspectPart(
      "tables",
      tables,
      {
        columns: [
          "table",
          "rows",
          "tableBytes",
          "indexBytes",
          "sequentialScans",
          "indexScans",
          "updated",
          "hotRatio",
          "deadRatio",
        ],
        kinds: { deadRatio: "share" },
        sortedBy: { key: "tableBytes", descending: true },
        most: 100,
      },
      { title: "Tables", note: "sizes as of the last VACUUM or ANALYZE" },
    ),
    inspectPart(
      "vacuum",
      vacuum,
      {
        columns: [
          "table",
          "deadRows",
          "triggerRows",
          "triggerRatio",
          "lastVacuum",
          "lastAnalyze",
          "freezeRatio",
          "autovacuum",
        ],
        kinds: { triggerRatio: "share", freezeRatio: "share" },
        sortedBy: { key: "triggerRatio", descending: true },
      },
      { title: "Vacuum", note: "autovacuum comes at 100 % of a table's own trigger" },
    ),
    ...(progress && progress.rows.length > 0
      ? [inspectPart("progress", progress, { kinds: { doneRatio: "share" } }, { title: "Under way" })]
      : []),
    {
      id: "freeze",
      title: "Transaction ids",
      note: "the server stops writes before they run out",
      charts: seriesChart(context, {
        title: "Oldest transaction id",
        unit: "transactions since",
        kind: "count",
        lines: [{ name: "xid.age", label: ({ datname }) => datname || "database" }],
        limit: freezeLimit(context),
      }),
      facts: ids.slice(0, 4).map((each) => daysFact(each)),
    },
    inspectPart("xmin", xmin, {}, { title: "What holds VACUUM back", wide: false }),
    inspectPart(
      "bloat",
      bloat,
      { kinds: { wastedRatioEstimate: "share" }, most: 30 },
      { title: "Bloat", note: "an estimate from statistics" },
    ),
    inspectPart("sequences", sequences, { kinds: { usedRatio: "share" }, most: 30 }, { title: "Sequences" }),
  ];
}

function freezeLimit({ snapshot }: PageContext): { label: string; value: number } | undefined {
  const value = valueOf(snapshot, "pg_settings_autovacuum_freeze_max_age", { server: snapshot.servers[0]?.name ?? "" });
  return value === undefined ? undefined : { label: "forced freeze at", value };
}

/** Missing, unused, duplicate and invalid indexes. */
export async function indexesPage(context: PageContext): Promise<readonly Part[]> {
  const { may } = context;
  const [indexes, unused, report] = await Promise.all([
    context.inspect("indexes"),
    context.inspect("unused-indexes"),
    context.indexReport(),
  ]);
  return [
    {
      id: "missing",
      title: "Recommended",
      note: "from the workload, the most time saved first",
      wide: true,
      ...(report === undefined
        ? { empty: { text: "The workload is being analysed; this page shows it when it is done." } }
        : report.recommendations.length === 0
          ? {
              empty: {
                text:
                  report.workload.source === "none"
                    ? `No workload is known${report.workload.reason === null ? "" : `: ${report.workload.reason}`}.`
                    : `No index would help the ${report.workload.statements} statements seen.`,
              },
            }
          : {
              table: {
                caption: "Recommended indexes",
                columns: [
                  { key: "index", label: "Index", kind: "text" },
                  { key: "table", label: "Table", kind: "text" },
                  { key: "gain", label: "Saves", kind: "share" },
                  { key: "bytes", label: "Size (est.)", kind: "bytes" },
                  { key: "confidence", label: "Verdict", kind: "text" },
                  { key: "why", label: "Why", kind: "text" },
                  { key: "command", label: "Command", kind: "code" },
                ],
                rows: report.recommendations.slice(0, 20).map((each) => ({
                  key: each.id,
                  cells: {
                    index: each.id,
                    table: each.definition.table,
                    gain: each.gain,
                    bytes: each.estimatedBytes,
                    confidence: `${each.confidence} confidence${each.engine === null ? "" : `, by ${each.engine}`}`,
                    why: each.why,
                    command: `db optimize apply ${each.id}`,
                  },
                  ...(may("indexes.create") && {
                    actions: [
                      {
                        label: "Create",
                        about: `Create index ${each.id}`,
                        path: `api/admin/indexes/${encodeURIComponent(each.id)}`,
                        args: {},
                      },
                    ],
                  }),
                })),
              },
            }),
    },
    {
      id: "advice",
      title: "Advice",
      findings: (report?.findings ?? []).filter(({ id }) => !id.includes("MISSING")).slice(0, 20),
      ...((report?.findings.length ?? 0) === 0 && {
        empty: { text: report ? "Nothing invalid, duplicate or unused was found." : "Not analysed yet." },
      }),
    },
    inspectPart(
      "unused",
      unused,
      { columns: ["index", "sizeBytes", "countedSince"] },
      { title: "Never scanned here", note: "ask every standby too", wide: false },
    ),
    inspectPart(
      "indexes",
      indexes,
      {
        columns: ["index", "table", "sizeBytes", "scans", "rowsRead", "lastScan", "remark"],
        sortedBy: { key: "sizeBytes", descending: true },
        most: 100,
      },
      { title: "All indexes" },
    ),
  ];
}
