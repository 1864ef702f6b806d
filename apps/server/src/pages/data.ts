import type { Fact, Part, ServerNode, Tone } from "@db/dashboard";
import { formatDuration } from "@db/core";
import { replication, samplesOf, valueOf } from "@db/orchestrator";
import { seriesChart } from "./charts.ts";
import type { PageContext } from "./known.ts";
import { inspectPart } from "./tables.ts";

/** Standbys, slots, WAL and its archive. */
export async function replicationPage(context: PageContext): Promise<readonly Part[]> {
  const { snapshot } = context;
  const view = replication(snapshot);
  const [standbys, slots, wal] = await Promise.all([
    context.inspect("replication"),
    context.inspect("slots"),
    context.inspect("wal"),
  ]);
  const archiver = view.archivers[0];
  const server = snapshot.servers[0]?.name ?? "";
  const wanted = samplesOf(snapshot, "pg_stat_archiver_archived_count").length > 0;
  return [
    {
      id: "topology",
      title: "Topology",
      wide: true,
      nodes: view.servers.map((each) => serverNode(each, view, server)),
    },
    {
      id: "lag",
      title: "Lag",
      charts: [
        ...seriesChart(context, {
          title: "Replay lag",
          unit: "seconds",
          kind: "seconds",
          lines: [{ name: "replication.seconds", label: ({ application_name: name }) => name || "standby" }],
        }),
        ...seriesChart(context, {
          title: "Not yet replayed",
          unit: "bytes of WAL",
          kind: "bytes",
          lines: [{ name: "replication.bytes", label: ({ application_name: name }) => name || "standby" }],
        }),
      ],
      ...(view.standbys.length === 0 && {
        empty: {
          text: "No standby is connected to this server. Where one should be, look at its primary_conninfo and log.",
        },
      }),
    },
    {
      id: "wal",
      title: "WAL",
      charts: seriesChart(context, {
        title: "WAL written",
        unit: "per second",
        kind: "bytes",
        lines: [{ name: "wal.bytes", label: () => "written" }],
      }),
      facts: [
        ...(wanted && archiver
          ? [
              { label: "archiver", value: archiver.failing ? "bad:failing" : "good:working", kind: "badge" as const },
              {
                label: "files waiting",
                value: archiver.waitingFiles,
                kind: "count" as const,
                ...((archiver.waitingFiles ?? 0) > 20 && { tone: "warn" as const }),
              },
            ]
          : []),
        ...(wal?.rows ?? []).map((row): Fact => ({
          label: String(row["measure"]),
          ...measured(String(row["measure"]), String(row["value"])),
        })),
      ],
    },
    inspectPart("standbys", standbys, {}, { title: "Standbys" }),
    inspectPart("slots", slots, {}, { title: "Replication slots" }),
    {
      id: "retained",
      title: "WAL retained by slots",
      wide: true,
      charts: seriesChart(context, {
        title: "Retained",
        unit: "bytes",
        kind: "bytes",
        lines: [{ name: "slots.bytes", label: ({ slot_name: name }) => name || "slot" }],
      }),
    },
  ].filter((part) => part.id !== "retained" || (part.charts?.length ?? 0) > 0);
}

function measured(measure: string, value: string): Pick<Fact, "value" | "kind"> {
  if (!/^\d+$/.test(value)) return { value, kind: "text" };
  return { value: Number(value), kind: measure.endsWith("bytes") ? "bytes" : "count" };
}

function serverNode(
  server: ReturnType<typeof replication>["servers"][number],
  view: ReturnType<typeof replication>,
  primary: string,
): ServerNode {
  const state = stateOf(server);
  const fed = view.standbys.filter((each) => each.server === server.server).length;
  const facts: Fact[] =
    server.role === "standby"
      ? [
          { label: "behind", value: server.replayBacklogBytes, kind: "bytes" },
          { label: "last message", value: server.lastMessageAgeSeconds, kind: "seconds" },
        ]
      : [{ label: "feeds", value: fed, kind: "count" }];
  return {
    name: server.server === primary && server.role === "unknown" ? "primary" : server.server,
    role: server.role,
    ...state,
    facts,
  };
}

function stateOf({ up, role, receiverUp }: ReturnType<typeof replication>["servers"][number]): {
  tone: Tone;
  word: string;
} {
  if (!up) return { tone: "bad", word: "away" };
  if (role !== "standby") return { tone: "good", word: "accepts writes" };
  return receiverUp === false ? { tone: "bad", word: "cut off" } : { tone: "good", word: "streaming" };
}

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

type Forecast = ReturnType<PageContext["orchestrator"]["monitor"]["forecasts"]>[number];

const resourceNames: Readonly<Record<Forecast["resource"], string>> = {
  storage: "storage",
  connections: "connections",
  sequence: "sequence",
  "transaction-ids": "transaction ids",
  "multixact-ids": "multixact ids",
};

function daysFact(forecast: Forecast): Fact {
  const { days } = forecast;
  return {
    label: `${resourceNames[forecast.resource]} of ${forecast.subject.split("/").slice(1).join("/") || forecast.subject}`,
    value: days,
    kind: "days",
    ...(days !== null && days < 30 && { tone: days < 7 ? ("bad" as const) : ("warn" as const) }),
  };
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

/** Growth, days left, cache and I/O. */
export async function storagePage(context: PageContext): Promise<readonly Part[]> {
  const { orchestrator, snapshot } = context;
  const [databases, cache, io] = await Promise.all([
    context.inspect("databases"),
    context.inspect("cache"),
    context.inspect("io"),
  ]);
  const forecasts = orchestrator.monitor.forecasts().filter(({ days }) => days !== null);
  const filesystems = snapshot.host?.filesystems ?? [];
  return [
    {
      id: "growth",
      title: "Size of databases",
      charts: seriesChart(context, {
        title: "Size",
        unit: "bytes",
        kind: "bytes",
        stacked: true,
        lines: [{ name: "database.bytes", label: ({ datname }) => datname || "database" }],
      }),
      facts: filesystems.map((each) => ({
        label: `disk at ${each.mountpoint}, used`,
        value: 1 - each.availableBytes / each.sizeBytes,
        kind: "share",
      })),
    },
    {
      id: "days",
      title: "Days left",
      note: "if it goes on as it did",
      ...(forecasts.length > 0
        ? {
            table: {
              caption: "What is used up first",
              columns: [
                { key: "resource", label: "Resource", kind: "text" },
                { key: "subject", label: "Of", kind: "text" },
                { key: "days", label: "Days left", kind: "days" },
                { key: "band", label: "Four times of five", kind: "text" },
              ],
              rows: forecasts.slice(0, 12).map((each) => ({
                key: `${each.resource}:${each.subject}`,
                cells: {
                  resource: resourceNames[each.resource],
                  subject: each.subject,
                  days: each.days,
                  band: `${daysText(each.earliestDays)} to ${daysText(each.latestDays)}`,
                },
              })),
            },
          }
        : {
            empty: {
              text: "Nothing grows so that it would be used up in the time that can be foreseen: thirty times what is known.",
            },
          }),
    },
    inspectPart("databases", databases, {}, { title: "Databases" }),
    {
      id: "hits",
      title: "Blocks from shared buffers",
      note: "a hint, never an alarm",
      charts: seriesChart(context, {
        title: "From shared buffers",
        unit: "of blocks",
        kind: "ratio",
        lines: [{ name: "cache.hits", label: () => "found" }],
      }),
    },
    inspectPart(
      "cache",
      cache,
      { columns: ["table", "readBytes", "hitRatio"], most: 15 },
      { title: "Reads past the cache", wide: false },
    ),
    inspectPart("io", io, { most: 40 }, { title: "I/O by who did it", note: "since the counters began" }),
  ];
}

function daysText(days: number | null): string {
  return days === null ? "never" : days > 3_650 ? "10 years" : days.toLocaleString("en", { maximumFractionDigits: 0 });
}

/** What can be restored, and the proof. */
export function backupsPage(context: PageContext): readonly Part[] {
  const { backups, lastDrill, snapshot, may } = context;
  const run = may("backups.run")
    ? [{ label: "Take a backup", about: "Take a full backup", path: "api/admin/backups", args: {} }]
    : [];
  const drill = may("drills.run")
    ? [{ label: "Restore on trial", about: "Restore the newest backup on trial", path: "api/admin/drills", args: {} }]
    : [];
  const [newest] = backups ?? [];
  if (!backups || !newest) {
    return [
      {
        id: "backups",
        title: "Backups",
        wide: true,
        actions: run,
        empty: {
          text: backups ? "There is no backup in the repository." : "The repository was not read yet.",
          command: "db backup run",
        },
      },
    ];
  }
  const now = Date.parse(snapshot.asOf);
  const ageSeconds = Math.max(0, (now - Date.parse(newest.stoppedAt)) / 1_000);
  const proved = lastDrill?.details["ok"] === true;
  return [
    {
      id: "proof",
      title: "If it were needed now",
      wide: true,
      lead: lastDrill
        ? proved
          ? {
              tone: "good",
              word: "Proved",
              text: `${String(lastDrill.details["label"])} was restored, started and compared in ${formatDuration(lastDrill.durationMs)}.`,
            }
          : { tone: "bad", word: "Last restore failed", text: "Look at what the drill says before it is needed." }
        : {
            tone: "warn",
            word: "Never restored",
            text: "A backup that was never restored is a hope. Restore one on trial.",
          },
      facts: [
        {
          label: "newest backup (most that is lost without WAL)",
          value: ageSeconds,
          kind: "seconds",
          ...(ageSeconds > 26 * 3_600 && { tone: ageSeconds > 7 * 86_400 ? "bad" : "warn" }),
        },
        { label: "last restore on trial took", value: lastDrill?.durationMs ?? null, kind: "milliseconds" },
        { label: "last restore on trial", value: lastDrill?.at ?? null, kind: "time" },
        { label: "backups kept", value: backups.length, kind: "count" },
        { label: "stored", value: backups.reduce((sum, { storedBytes }) => sum + storedBytes, 0), kind: "bytes" },
      ],
      actions: [...run, ...drill],
      ...(drill.length === 0 && !proved && { command: "db restore drill" }),
    },
    {
      id: "calendar",
      title: "Five weeks",
      note: "backups taken each day; a ring says one was read back whole",
      wide: true,
      calendar: { days: calendarOf(backups, now) },
    },
    {
      id: "backups",
      title: "Backups",
      wide: true,
      table: {
        caption: "Backups, newest first",
        columns: [
          { key: "label", label: "Backup", kind: "text" },
          { key: "type", label: "Type", kind: "text" },
          { key: "status", label: "State", kind: "badge" },
          { key: "stoppedAt", label: "Taken", kind: "time" },
          { key: "bytes", label: "Data", kind: "bytes" },
          { key: "storedBytes", label: "Stored", kind: "bytes" },
          { key: "encrypted", label: "Encrypted", kind: "flag" },
          { key: "verifiedAt", label: "Read back", kind: "time" },
        ],
        rows: backups.slice(0, 60).map((each) => ({
          key: each.label,
          cells: {
            label: each.label,
            type: each.type,
            status: each.status === "complete" ? "good:complete" : `bad:${each.status}`,
            stoppedAt: each.stoppedAt,
            bytes: each.bytes,
            storedBytes: each.storedBytes,
            encrypted: each.encrypted,
            verifiedAt: each.verifiedAt,
          },
        })),
      },
    },
  ];
}

function calendarOf(
  backups: NonNullable<PageContext["backups"]>,
  now: number,
): { date: string; backups: number; verified: boolean }[] {
  return Array.from({ length: 35 }, (_, index) => {
    const date = new Date(now - (34 - index) * 86_400_000).toISOString().slice(0, 10);
    const taken = backups.filter(({ stoppedAt }) => stoppedAt.startsWith(date));
    return { date, backups: taken.length, verified: taken.some(({ verifiedAt }) => verifiedAt !== null) };
  });
}

/** What was changed when, and what is pending. */
export function migrationsPage({ migrations, may }: PageContext): readonly Part[] {
  if (!migrations)
    return [
      {
        id: "migrations",
        title: "Migrations",
        wide: true,
        empty: {
          text: "The history was not read yet, or the folder of migrations is not there.",
          command: "db migrate status",
        },
      },
    ];
  const { applied, pending } = migrations;
  const tones: Readonly<Record<string, string>> = {
    applied: "good",
    pending: "warn",
    failed: "bad",
    interrupted: "bad",
    changed: "warn",
    missing: "warn",
  };
  return [
    {
      id: "migrations",
      title: "Migrations",
      note: "they stand as marks on every chart",
      wide: true,
      facts: [
        { label: "applied", value: applied, kind: "count" },
        { label: "pending", value: pending, kind: "count", ...(pending > 0 && { tone: "warn" }) },
        { label: "newest", value: migrations.current, kind: "text" },
      ],
      ...(pending > 0 &&
        (may("migrations.apply")
          ? {
              actions: [
                { label: "Apply", about: "Apply the pending migrations", path: "api/admin/migrations", args: {} },
              ],
            }
          : { command: "db migrate plan" })),
      ...(migrations.findings.length > 0 && { findings: migrations.findings }),
      ...(migrations.migrations.length === 0
        ? { empty: { text: "There is no migration yet. Make the first one:", command: "db migrate new add_something" } }
        : {
            table: {
              caption: "Migrations, newest first",
              columns: [
                { key: "id", label: "Migration", kind: "text" },
                { key: "state", label: "State", kind: "badge" },
                { key: "appliedAt", label: "Applied", kind: "time" },
                { key: "durationMs", label: "Took", kind: "milliseconds" },
                { key: "appliedBy", label: "By", kind: "text" },
              ],
              rows: migrations.migrations
                .toReversed()
                .slice(0, 100)
                .map((each) => ({
                  key: each.id,
                  cells: {
                    id: each.id,
                    state: `${tones[each.state] ?? "info"}:${each.state}`,
                    appliedAt: each.appliedAt,
                    durationMs: each.durationMs,
                    appliedBy: each.appliedBy,
                  },
                })),
            },
          }),
    },
  ];
}

/** Rules that the data keeps or breaks. */
export function qualityPage({ lastValidation, mainJob }: PageContext): readonly Part[] {
  const findings = mainJob?.steps.find(({ name }) => name === "quality")?.findings ?? [];
  const { score, rules, failed } = lastValidation?.details ?? {};
  if (!lastValidation || typeof score !== "number") {
    return [
      {
        id: "quality",
        title: "Data quality",
        wide: true,
        empty: {
          text: "No rule was checked yet. Where there are no rules, the data suggests some:",
          command: "db validate suggest",
        },
      },
    ];
  }
  return [
    {
      id: "quality",
      title: "Data quality",
      wide: true,
      facts: [
        {
          label: "score of 100",
          value: score,
          kind: "count",
          tone: score >= 99 ? "good" : score >= 90 ? "warn" : "bad",
        },
        { label: "rules", value: Number(rules), kind: "count" },
        { label: "broken", value: Number(failed), kind: "count", ...(Number(failed) > 0 && { tone: "warn" }) },
        { label: "checked", value: lastValidation.at, kind: "time" },
      ],
      findings,
      command: "db validate",
    },
  ];
}
