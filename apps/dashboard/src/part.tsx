import type { JSX } from "preact";
import { Actions } from "./action.tsx";
import { Card, Facts } from "./card.tsx";
import { Cell } from "./cell.tsx";
import { Chart } from "./chart.tsx";
import { Command, FindingLines } from "./findings.tsx";
import { Badge, Icon } from "./icon.tsx";
import { LockTree } from "./lock-tree.tsx";
import type { CalendarView, Fact, Part, ServerNode } from "./page-view.ts";
import { DataTable } from "./table.tsx";

/** One card of a page: whatever its part holds, in the order in which it is read. */
export function PartCard({ part, asOf }: { readonly part: Part; readonly asOf: string }): JSX.Element {
  const { charts = [], facts = [], findings = [], nodes = [] } = part;
  return (
    <Card
      id={part.id}
      title={part.title}
      {...(part.note !== undefined && { note: part.note })}
      {...(part.wide && { wide: true })}
    >
      {part.lead && (
        <p class="lead">
          <Badge tone={part.lead.tone}>{part.lead.word}</Badge> {part.lead.text}
        </p>
      )}
      {part.empty && (
        <>
          <p class="empty">{part.empty.text}</p>
          {part.empty.command !== undefined && <Command text={part.empty.command} />}
        </>
      )}
      {part.statement !== undefined && <pre class="statement">{part.statement}</pre>}
      {facts.length > 0 && <FactList facts={facts} asOf={asOf} />}
      {nodes.length > 0 && <Topology nodes={nodes} asOf={asOf} />}
      {part.tree && <LockTree nodes={part.tree} />}
      {part.calendar && <Calendar calendar={part.calendar} />}
      {charts.map((chart) => (
        <Chart chart={chart} key={chart.title} />
      ))}
      {part.actions && part.actions.length > 0 && (
        <p class="do">
          <Actions actions={part.actions} />
        </p>
      )}
      {part.command !== undefined && <Command text={part.command} />}
      {findings.length > 0 && <FindingLines findings={findings} label={`Findings, ${part.title}`} />}
      {part.table && <DataTable id={part.id} table={part.table} asOf={asOf} />}
    </Card>
  );
}

function FactList({ facts, asOf }: { readonly facts: readonly Fact[]; readonly asOf: string }): JSX.Element {
  return (
    <Facts
      facts={facts.map(({ label, value, kind, tone }) => [
        label,
        <span class={tone ? `toned tone-${tone}` : ""}>
          {tone && tone !== "good" && <Icon tone={tone} />} <Cell value={value} kind={kind} asOf={asOf} />
        </span>,
      ])}
    />
  );
}

function Topology({ nodes, asOf }: { readonly nodes: readonly ServerNode[]; readonly asOf: string }): JSX.Element {
  return (
    <ol class="topology">
      {nodes.map((node) => (
        <li key={node.name} class={`server tone-${node.tone}`}>
          <p>
            <b>{node.name}</b> <span class="muted">{node.role}</span>
          </p>
          <Badge tone={node.tone}>{node.word}</Badge>
          <FactList facts={node.facts} asOf={asOf} />
        </li>
      ))}
    </ol>
  );
}

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function Calendar({ calendar }: { readonly calendar: CalendarView }): JSX.Element {
  return (
    <ol class="calendar">
      {calendar.days.map(({ date, backups, verified }, index) => (
        <li key={date} class={`day ${backups > 0 ? "day-some" : "day-none"} ${verified ? "day-verified" : ""}`}>
          <time dateTime={date} aria-hidden="true">
            {index === 0 || date.endsWith("-01") ? `${months[Number(date.slice(5, 7)) - 1]} ` : ""}
            {date.slice(8)}
          </time>
          <b aria-hidden="true">{backups > 0 ? backups : "·"}</b>
          <span class="hidden">
            {date}: {backups} {backups === 1 ? "backup" : "backups"}
            {verified ? ", read back" : ""}
          </span>
        </li>
      ))}
    </ol>
  );
}
