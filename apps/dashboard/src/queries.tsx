import { formatDuration } from "@db/core";
import type { JSX } from "preact";
import { Empty } from "./card.tsx";
import { formatNumber, formatShare } from "./format.ts";
import type { TopQueriesView, TopQuery } from "./view.ts";

const columns = [
  { key: "share", label: "Share", title: "part of all statement time" },
  { key: "totalMs", label: "Total", title: "time in all calls" },
  { key: "meanMs", label: "Mean", title: "time of one call" },
  { key: "calls", label: "Calls", title: "how often" },
  { key: "rows", label: "Rows", title: "rows returned or changed" },
] as const satisfies readonly { key: keyof TopQuery; label: string; title: string }[];

const collapsedLength = 110;

/** Where the database's time goes. Buttons in the head sort it once scripts run; the order given is by share. */
export function TopQueries({ view }: { readonly view: TopQueriesView | null }): JSX.Element {
  if (view === null) return <Empty>Not collected yet.</Empty>;
  if (view.rows.length === 0) return <Empty>{view.note ?? "No statement has run yet."}</Empty>;
  const longest = Math.max(...view.rows.map((row) => row.share));
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Top queries, scrollable">
      <table class="sortable">
        <caption class="hidden">Statements by their share of all time</caption>
        <thead>
          <tr>
            <th scope="col">Statement</th>
            {columns.map((column) => (
              <th
                scope="col"
                class="number"
                key={column.key}
                aria-sort={column.key === "share" ? "descending" : "none"}
              >
                <button type="button" class="sort" data-sort={column.key} title={column.title}>
                  {column.label}
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {view.rows.map((row) => (
            <tr
              key={row.id}
              data-values={JSON.stringify(Object.fromEntries(columns.map(({ key }) => [key, row[key]])))}
            >
              <th scope="row" class="statement">
                <Statement text={row.text} />
              </th>
              <td class="number share">
                <svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" focusable="false">
                  <rect width={(row.share / longest) * 100} height="6" rx="1" />
                </svg>
                {formatShare(row.share)}
              </td>
              <td class="number">{formatDuration(row.totalMs)}</td>
              <td class="number">{formatDuration(row.meanMs)}</td>
              <td class="number">{formatNumber(row.calls)}</td>
              <td class="number">{formatNumber(row.rows)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Statement({ text }: { readonly text: string }): JSX.Element {
  const flat = text.replace(/\s+/g, " ").trim();
  if (flat.length <= collapsedLength) return <code>{flat}</code>;
  return (
    <details>
      <summary>
        <code>{flat.slice(0, collapsedLength)}…</code>
      </summary>
      <pre>{text.trim()}</pre>
    </details>
  );
}
