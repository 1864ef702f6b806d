import { type Context, createContext, type JSX } from "preact";
import { useContext } from "preact/hooks";
import { Actions } from "./action.tsx";
import { Cell, leftKinds } from "./cell.tsx";
import type { TableRow, TableView } from "./page-view.ts";

export interface Sorting {
  readonly key: string;
  readonly descending: boolean;
}

/** How the reader sorted which table; empty on the server. */
export const Sortings: Context<Readonly<Record<string, Sorting>>> = createContext({});

/** Rows of anything. Buttons in the head sort them once scripts run. */
export function DataTable({
  id,
  table,
  asOf,
}: {
  readonly id: string;
  readonly table: TableView;
  readonly asOf: string;
}): JSX.Element {
  const chosen = useContext(Sortings)[id] ?? table.sortedBy;
  const rows = chosen ? sorted(table.rows, chosen) : table.rows;
  const stacks = table.columns.some(({ kind }) => kind === "code");
  const acting = table.rows.some(({ actions }) => actions !== undefined);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={`${table.caption}, scrollable`}>
      {/* Roles are named: a narrow screen stacks the cells of a row, which alone would take them away. */}
      <table role="table" class={`${table.columns.length > 4 ? "many " : ""}${stacks ? "stacks" : ""}`.trim()}>
        <caption class="hidden">{table.caption}</caption>
        <thead role="rowgroup">
          <tr role="row">
            {table.columns.map(({ key, label, kind }) => (
              <th
                role="columnheader"
                scope="col"
                key={key}
                class={leftKinds.has(kind) ? "" : "number"}
                {...(table.sortedBy && kind !== "spark" && { "aria-sort": sortWord(chosen, key) })}
              >
                {table.sortedBy && kind !== "spark" ? (
                  <button type="button" class="sort" data-table={id} data-sort={key}>
                    {label}
                  </button>
                ) : (
                  label
                )}
              </th>
            ))}
            {acting && (
              <th role="columnheader" scope="col" class="acting">
                Do
              </th>
            )}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map((row) => (
            <tr role="row" key={row.key}>
              {table.columns.map(({ key, label, kind }, column) => {
                const name = `kind-${kind.replace(" ", "-")}${leftKinds.has(kind) ? "" : " number"}`;
                const value = <Cell value={row.cells[key] ?? null} kind={kind} asOf={asOf} />;
                const shown =
                  row.href !== undefined && kind === "code" ? <Opened href={row.href}>{value}</Opened> : value;
                return column === 0 ? (
                  <th role="rowheader" scope="row" class={name} data-label={label} key={key}>
                    {shown}
                  </th>
                ) : (
                  <td role="cell" class={name} data-label={label} key={key}>
                    {shown}
                  </td>
                );
              })}
              {acting && (
                <td role="cell" class="acting">
                  <Actions actions={row.actions ?? []} />
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Opened({ href, children }: { readonly href: string; readonly children: JSX.Element }): JSX.Element {
  return (
    <>
      {children}{" "}
      <a class="open" href={href}>
        plan
      </a>
    </>
  );
}

function sortWord(chosen: Sorting | undefined, key: string): "ascending" | "descending" | "none" {
  if (chosen?.key !== key) return "none";
  return chosen.descending ? "descending" : "ascending";
}

function sorted(rows: readonly TableRow[], { key, descending }: Sorting): readonly TableRow[] {
  const order = descending ? -1 : 1;
  return rows.toSorted((a, b) => {
    const [x, y] = [a.cells[key] ?? null, b.cells[key] ?? null];
    // What is not known stands last, whichever way.
    if (x === null || y === null) return Number(x === null) - Number(y === null);
    if (typeof x === "string" || typeof y === "string") return String(x).localeCompare(String(y)) * order;
    return (Number(x) - Number(y)) * order;
  });
}
