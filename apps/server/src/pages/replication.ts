import type { Fact, Part, ServerNode, Tone } from "@db/dashboard";
import { replication, samplesOf } from "@db/orchestrator";
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
