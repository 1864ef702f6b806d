import { formatBytes, formatDuration } from "@db/core";
import type { JSX } from "preact";
import { Card } from "./card.tsx";
import { Backups, Connections, Indexes, Quality, Replication, Schema, Steps } from "./cards.tsx";
import { Chart } from "./chart.tsx";
import { Command, Findings } from "./findings.tsx";
import { formatAgo, formatNumber, formatShare } from "./format.ts";
import { Icon, toneOfStatus } from "./icon.tsx";
import type { PageView, TableView } from "./page-view.ts";
import { PartCard } from "./part.tsx";
import { PageHead, Shell } from "./shell.tsx";
import { DataTable } from "./table.tsx";
import type { StatusView, TopQueriesView } from "./view.ts";

/** Any page of the dashboard. */
export function Page({ view }: { readonly view: PageView }): JSX.Element {
  const { head, status, parts } = view;
  return (
    <Shell head={head}>
      {status ? (
        <Status view={status} />
      ) : (
        <>
          <PageHead head={head} ranged={parts.some(({ charts }) => charts !== undefined)} />
          <div class="cards">
            {parts.map((part) => (
              <PartCard part={part} asOf={head.asOf} key={part.id} />
            ))}
          </div>
        </>
      )}
    </Shell>
  );
}

/** The first page: what an on-call engineer needs in the order in which it is needed. */
function Status({ view }: { readonly view: StatusView }): JSX.Element {
  return (
    <>
      <section class={`verdict tone-${toneOfStatus[view.status]}`} aria-labelledby="status-title" id="status">
        <h1 id="status-title">
          <Icon tone={toneOfStatus[view.status]} />
          {headline(view)}
        </h1>
        <Tiles view={view} />
        <h2 class="hidden">Findings</h2>
        <Findings findings={view.findings} asOf={view.asOf} />
      </section>
      <div class="cards">
        <Card id="connections" title="Connections" note="the pool over the server" href="connections">
          <Connections view={view.connections} />
        </Card>
        <Card id="activity" title="Throughput" href="throughput">
          {view.activity?.chart ? (
            <Chart chart={view.activity.chart} />
          ) : (
            <p class="empty">Two collections are needed for a rate; the second comes within a minute.</p>
          )}
        </Card>
        <Card id="queries" title="Top queries" note="by share of all statement time" wide href="queries">
          <TopQueries view={view.topQueries} asOf={view.asOf} />
        </Card>
        <Card id="replication" title="Replication" href="replication">
          <Replication view={view.replication} />
        </Card>
        <Card id="backups" title="Backups" href="backups">
          <Backups view={view.backups} asOf={view.asOf} />
        </Card>
        <Card id="indexes" title="Indexes" href="indexes">
          <Indexes view={view.indexes} />
        </Card>
        <Card id="quality" title="Data quality" href="quality">
          <Quality view={view.quality} asOf={view.asOf} />
        </Card>
        <Card id="schema" title="Migrations" wide href="migrations">
          <Schema migrations={view.migrations} />
        </Card>
        {view.steps.length > 0 && (
          <Card id="steps" title="What the last run did" wide>
            <Steps steps={view.steps} />
          </Card>
        )}
      </div>
    </>
  );
}

function TopQueries({ view, asOf }: { readonly view: TopQueriesView | null; readonly asOf: string }): JSX.Element {
  if (view === null) return <p class="empty">Not collected yet.</p>;
  if (view.rows.length === 0) {
    return (
      <>
        <p class="empty">{view.note ?? "No statement has run yet."}</p>
        {view.note !== null && <Command text="create extension pg_stat_statements" />}
      </>
    );
  }
  const table: TableView = {
    caption: "Statements by their share of all time",
    columns: [
      { key: "share", label: "Share", kind: "share" },
      { key: "text", label: "Statement", kind: "code" },
      { key: "totalMs", label: "Total", kind: "milliseconds" },
      { key: "meanMs", label: "Mean", kind: "milliseconds" },
      { key: "calls", label: "Calls", kind: "count" },
    ],
    sortedBy: { key: "share", descending: true },
    rows: view.rows.slice(0, 6).map(({ id, text, share, totalMs, meanMs, calls }) => ({
      key: id,
      href: `queries/${id.split(":")[0]}`,
      cells: { text, share, totalMs, meanMs, calls },
    })),
  };
  return <DataTable id="top" table={table} asOf={asOf} />;
}

function headline(view: StatusView): string {
  const critical = view.findings.filter((finding) => finding.severity === "critical").length;
  const warnings = view.findings.filter((finding) => finding.severity === "warn").length;
  const count = (number: number, one: string, many: string): string => `${number} ${number === 1 ? one : many}`;
  if (view.status === "fail")
    return critical > 0 ? `Not well: ${count(critical, "critical finding", "critical findings")}` : "Not well";
  if (critical + warnings === 0) return view.status === "pass" ? "All is well" : "Working, with reservations";
  return `Working, with ${count(critical + warnings, "thing", "things")} to look at`;
}

function Tiles({ view }: { readonly view: StatusView }): JSX.Element {
  const { server, connections, activity, replication, backups } = view;
  const worstLag = replication?.standbys.reduce((worst, standby) => Math.max(worst, standby.lagMs ?? 0), 0);
  const tiles: readonly (readonly [string, string, string])[] = [
    [
      "PostgreSQL",
      server ? server.version : "not reachable",
      server
        ? `${server.role}${server.startedAt === null ? "" : `, started ${formatAgo(server.startedAt, view.asOf)}`}`
        : "",
    ],
    ["Database", server?.sizeBytes == null ? "unknown" : formatBytes(server.sizeBytes), server?.database ?? ""],
    [
      "Connections",
      connections ? `${formatNumber(connections.total)} of ${formatNumber(connections.max)}` : "unknown",
      connections?.pool ? `${connections.pool.waiting} waiting in the pool` : "",
    ],
    [
      "Transactions",
      activity?.transactionsPerSecond == null ? "unknown" : `${formatNumber(activity.transactionsPerSecond)} /s`,
      activity?.cacheHitRatio == null ? "" : `${formatShare(activity.cacheHitRatio)} from cache`,
    ],
    [
      "Replica lag",
      replication && replication.standbys.length > 0 ? formatDuration(worstLag ?? 0) : "none",
      replication && replication.standbys.length > 0
        ? `${replication.standbys.length} ${replication.standbys.length === 1 ? "standby" : "standbys"} connected`
        : "no standby connected",
    ],
    [
      "Last backup",
      backups?.rows[0] ? formatAgo(backups.rows[0].stoppedAt, view.asOf) : "none",
      backups?.lastDrill?.ok ? `restored ${formatAgo(backups.lastDrill.at, view.asOf)}` : "not proved by a restore",
    ],
  ];
  return (
    <dl class="tiles">
      {tiles.map(([name, value, note]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            <b>{value}</b>
            <span class="muted">{note}</span>
          </dd>
        </div>
      ))}
    </dl>
  );
}
