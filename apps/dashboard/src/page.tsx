import { formatBytes, formatDuration } from "@db/core";
import type { JSX } from "preact";
import { Card } from "./card.tsx";
import { Backups, Connections, Indexes, Quality, Replication, Schema, Steps } from "./cards.tsx";
import { Chart } from "./chart.tsx";
import { Findings } from "./findings.tsx";
import { formatAgo, formatInstant, formatNumber, formatShare } from "./format.ts";
import { Icon, toneOfStatus } from "./icon.tsx";
import { TopQueries } from "./queries.tsx";
import type { StatusView } from "./view.ts";

/** The first page: what an on-call engineer needs in the order in which it is needed. */
export function Page({ view }: { readonly view: StatusView }): JSX.Element {
  return (
    <>
      <a class="skip" href="#status">
        Skip to status
      </a>
      <header class="top">
        <p class="brand">
          <b>{view.title}</b>
          <span class="tag">{view.environment}</span>
          {view.readOnly && <span class="tag">read-only</span>}
        </p>
        <p class="clock">
          <span class="muted">
            as of <time dateTime={view.asOf}>{formatInstant(view.asOf)}</time>
            {view.ageSeconds > 30 && <b> ({formatDuration(view.ageSeconds * 1_000)} old)</b>}
          </span>
          <span class="live muted" role="status" id="live" />
          <button type="button" id="pause" hidden>
            Pause
          </button>
          <button type="button" id="theme" hidden>
            Light or dark
          </button>
        </p>
      </header>
      <main>
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
          <Card id="connections" title="Connections" note="the pool over the server">
            <Connections view={view.connections} />
          </Card>
          <Card id="activity" title="Throughput">
            {view.activity?.chart ? (
              <Chart chart={view.activity.chart} />
            ) : (
              <p class="empty">Two collections are needed for a rate.</p>
            )}
          </Card>
          <Card id="queries" title="Top queries" note="by share of all statement time" wide>
            <TopQueries view={view.topQueries} />
          </Card>
          <Card id="replication" title="Replication">
            <Replication view={view.replication} />
          </Card>
          <Card id="backups" title="Backups">
            <Backups view={view.backups} asOf={view.asOf} />
          </Card>
          <Card id="indexes" title="Indexes">
            <Indexes view={view.indexes} />
          </Card>
          <Card id="quality" title="Data quality">
            <Quality view={view.quality} asOf={view.asOf} />
          </Card>
          <Card id="schema" title="Migrations" wide>
            <Schema migrations={view.migrations} />
          </Card>
          {view.steps.length > 0 && (
            <Card id="steps" title="What the last run did" wide>
              <Steps steps={view.steps} />
            </Card>
          )}
        </div>
      </main>
      <footer class="muted">
        <p>
          <a href="api/health/database">health</a> <a href="metrics">metrics</a>{" "}
          <a href="api/health/database/metrics?detailed=true">metrics as JSON</a>
        </p>
      </footer>
    </>
  );
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
      "Server",
      server ? `PostgreSQL ${server.version}` : "not reachable",
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
      "Replica",
      replication && replication.standbys.length > 0 ? formatDuration(worstLag ?? 0) : "none",
      replication && replication.standbys.length > 0
        ? `${replication.standbys.length} streaming, behind`
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
