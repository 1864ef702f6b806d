import { formatBytes, formatDuration } from "@db/core";
import type { JSX } from "preact";
import { Empty, Facts } from "./card.tsx";
import { Chart } from "./chart.tsx";
import { Command, FindingLines } from "./findings.tsx";
import { formatAgo, formatInstant, formatNumber, formatShare } from "./format.ts";
import { Badge, type Tone } from "./icon.tsx";
import type {
  BackupsView,
  ConnectionsView,
  IndexesView,
  MigrationsView,
  QualityView,
  ReplicationView,
  StepView,
} from "./view.ts";

export function Connections({ view }: { readonly view: ConnectionsView | null }): JSX.Element {
  if (view === null) return <Empty>Not collected yet.</Empty>;
  return (
    <>
      <Meter label="Server" used={view.total} max={view.max} />
      {view.pool && (
        <Meter
          label="This pool"
          used={view.pool.used + view.pool.idle}
          max={view.pool.max}
          note={`${view.pool.used} in use, ${view.pool.idle} idle, ${view.pool.waiting} waiting`}
        />
      )}
      <Facts facts={view.byState.slice(0, 4).map(({ state, count }) => [state, formatNumber(count)])} />
      {view.chart && <Chart chart={view.chart} />}
    </>
  );
}

function Meter(props: {
  readonly label: string;
  readonly used: number;
  readonly max: number;
  readonly note?: string;
}): JSX.Element {
  const share = props.max === 0 ? 0 : props.used / props.max;
  const tone: Tone = share > 0.95 ? "bad" : share > 0.8 ? "warn" : "good";
  return (
    <div class="meter">
      <p>
        <span>{props.label}</span>{" "}
        <b>
          {formatNumber(props.used)} of {formatNumber(props.max)}
        </b>
      </p>
      <svg
        viewBox="0 0 100 8"
        preserveAspectRatio="none"
        role="img"
        aria-label={`${props.label}: ${props.used} of ${props.max} connections`}
      >
        <rect class="meter-track" width="100" height="8" />
        <rect class={`meter-fill tone-${tone}`} width={Math.min(100, share * 100)} height="8" />
      </svg>
      {props.note !== undefined && <p class="muted">{props.note}</p>}
    </div>
  );
}

export function Replication({ view }: { readonly view: ReplicationView | null }): JSX.Element {
  if (view === null) return <Empty>Not collected yet.</Empty>;
  if (view.standbys.length === 0 && view.slots.length === 0)
    return <Empty>No standby is connected and no slot exists.</Empty>;
  return (
    <>
      <table>
        <caption class="hidden">Standbys</caption>
        <thead>
          <tr>
            <th scope="col">Standby</th>
            <th scope="col">State</th>
            <th scope="col" class="number">
              Behind
            </th>
          </tr>
        </thead>
        <tbody>
          {view.standbys.map((standby) => (
            <tr key={standby.name}>
              <th scope="row">{standby.name}</th>
              <td>
                <Badge tone={standby.state === "streaming" ? "good" : "warn"}>{standby.state}</Badge>
              </td>
              <td class="number">
                {standby.lagMs === null ? "0 ms" : formatDuration(standby.lagMs)}
                <span class="muted"> {standby.lagBytes === null ? "" : formatBytes(standby.lagBytes)}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {view.slots.length > 0 && (
        <Facts
          facts={view.slots.map((slot) => [
            `slot ${slot.name}`,
            `${slot.active ? "active" : "inactive"}${slot.retainedBytes === null ? "" : `, keeps ${formatBytes(slot.retainedBytes)}`}`,
          ])}
        />
      )}
    </>
  );
}

export function Backups({ view, asOf }: { readonly view: BackupsView | null; readonly asOf: string }): JSX.Element {
  const newest = view?.rows[0];
  if (!view || !newest) {
    return (
      <>
        <Empty>There is no backup in the repository.</Empty>
        <Command text="db backup run" />
      </>
    );
  }
  return (
    <>
      <p class="lead">
        {view.lastDrill?.ok ? (
          <Badge tone="good">{`Proved ${formatAgo(view.lastDrill.at, asOf)}`}</Badge>
        ) : view.lastDrill ? (
          <Badge tone="bad">Last restore failed</Badge>
        ) : (
          <Badge tone="warn">Never restored</Badge>
        )}{" "}
        {view.lastDrill?.ok
          ? `restored and compared, ${view.lastDrill.tables} tables, in ${formatDuration(view.lastDrill.durationMs)}`
          : "run db restore drill to prove it"}
      </p>
      <table>
        <caption class="hidden">Backups, newest first</caption>
        <thead>
          <tr>
            <th scope="col">Backup</th>
            <th scope="col">Taken</th>
            <th scope="col" class="number">
              Data
            </th>
            <th scope="col" class="number">
              Stored
            </th>
          </tr>
        </thead>
        <tbody>
          {view.rows.slice(0, 5).map((row) => (
            <tr key={row.label}>
              <th scope="row">
                <code>{row.label}</code>
                <span class="muted">
                  {" "}
                  {row.type}
                  {row.encrypted ? ", encrypted" : ""}
                </span>
                {row.status === "suspect" && <Badge tone="bad">suspect</Badge>}
              </th>
              <td title={formatInstant(row.stoppedAt)}>{formatAgo(row.stoppedAt, asOf)}</td>
              <td class="number">{formatBytes(row.sizeBytes)}</td>
              <td class="number">{formatBytes(row.storedBytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

export function Schema({ migrations }: { readonly migrations: MigrationsView | null }): JSX.Element {
  if (migrations === null) return <Empty>Not read yet.</Empty>;
  return (
    <Facts
      facts={[
        ["applied", formatNumber(migrations.applied)],
        ["pending", migrations.pending === 0 ? "none" : <Badge tone="warn">{formatNumber(migrations.pending)}</Badge>],
        ["newest", migrations.latest ?? "none"],
      ]}
    />
  );
}

export function Quality({ view, asOf }: { readonly view: QualityView | null; readonly asOf: string }): JSX.Element {
  if (view === null) {
    return (
      <>
        <Empty>No rules were checked yet.</Empty>
        <Command text="db validate" />
      </>
    );
  }
  return (
    <>
      <Facts
        facts={[
          ["score", `${formatNumber(view.score)} of 100`],
          ["rules", formatNumber(view.rules)],
          ["broken", view.failed === 0 ? "none" : formatNumber(view.failed)],
          ["checked", formatAgo(view.at, asOf)],
        ]}
      />
      <FindingLines findings={view.findings} label="Broken rules" />
    </>
  );
}

export function Indexes({ view }: { readonly view: IndexesView | null }): JSX.Element {
  if (view === null) return <Empty>Not analysed yet.</Empty>;
  return (
    <>
      {view.lastApplied && (
        <p class="lead">
          <b>{view.lastApplied.name}</b> took “{view.lastApplied.query}” from{" "}
          {formatDuration(view.lastApplied.beforeMs)} to <b>{formatDuration(view.lastApplied.afterMs)}</b>
          <span class="muted"> ({formatShare(1 - view.lastApplied.afterMs / view.lastApplied.beforeMs)} less)</span>
        </p>
      )}
      <Facts
        facts={[
          ["recommended", formatNumber(view.recommendations.length)],
          ["unused", formatNumber(view.unused)],
          ["duplicate", formatNumber(view.duplicates)],
        ]}
      />
      <FindingLines findings={view.findings} label="Other index findings" />
      {view.recommendations.slice(0, 3).map((recommendation) => (
        <div class="advice" key={recommendation.name}>
          <p>
            <b>{recommendation.table}</b>: {recommendation.why}
          </p>
          <Command text={recommendation.command} />
        </div>
      ))}
    </>
  );
}

const stepTone: Readonly<Record<StepView["status"], Tone>> = { done: "good", skipped: "info", failed: "bad" };

export function Steps({ steps }: { readonly steps: readonly StepView[] }): JSX.Element {
  return (
    <ol class="steps">
      {steps.map((step) => (
        <li key={step.name}>
          <Badge tone={stepTone[step.status]}>{step.status}</Badge>
          <b>{step.title}</b>
          <span>{step.detail}</span>
          <span class="muted number">{formatDuration(step.durationMs)}</span>
        </li>
      ))}
    </ol>
  );
}
