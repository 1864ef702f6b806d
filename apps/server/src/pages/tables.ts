import type { ActionLink, CellKind, Part, TableView } from "@db/dashboard";
import type { InspectReport } from "@db/orchestrator";

/** How an inspection's answer is shown. */
export interface TableWish {
  readonly caption?: string;
  /** Columns to show, in order; all of them without it. */
  readonly columns?: readonly string[];
  /** Other kinds than the inspection's, by column. */
  readonly kinds?: Readonly<Record<string, CellKind>>;
  readonly sortedBy?: TableView["sortedBy"];
  readonly most?: number;
  readonly href?: (row: InspectReport["rows"][number]) => string | undefined;
  readonly actions?: (row: InspectReport["rows"][number]) => readonly ActionLink[];
}

/** An inspection as a card: its table, or why there is none. */
export function inspectPart(
  id: string,
  report: InspectReport | undefined,
  wish: TableWish = {},
  more: Partial<Part> = {},
): Part {
  const title = more.title ?? report?.title ?? "";
  if (!report) return { id, wide: true, ...more, title, empty: { text: "The server does not answer just now." } };
  if (report.rows.length === 0) return { id, wide: true, ...more, title, empty: emptyOf(report.note ?? "Nothing.") };
  return { id, wide: true, ...more, title, table: inspectTable(report, wish) };
}

export function inspectTable(report: InspectReport, wish: TableWish = {}): TableView {
  const shown = (wish.columns ?? report.columns.map(({ name }) => name)).flatMap((name) => {
    const column = report.columns.find((each) => each.name === name);
    return column ? [{ key: name, label: column.label, kind: wish.kinds?.[name] ?? column.kind }] : [];
  });
  return {
    caption: wish.caption ?? report.title,
    columns: shown,
    rows: report.rows.slice(0, wish.most ?? 50).map((row, index) => {
      const href = wish.href?.(row);
      const actions = wish.actions?.(row) ?? [];
      return {
        key: `${index}:${String(row[shown[0]!.key] ?? "")}`,
        cells: Object.fromEntries(shown.map(({ key }) => [key, row[key] ?? null])),
        ...(href !== undefined && { href }),
        ...(actions.length > 0 && { actions }),
      };
    }),
    ...(wish.sortedBy && { sortedBy: wish.sortedBy }),
  };
}

// A sentence that ends with a command gives the command a line of its own.
function emptyOf(note: string): NonNullable<Part["empty"]> {
  const [, text, command] = /^(.*?): ((?:create extension|run|db) .*?)\.?$/i.exec(note) ?? [];
  return text === undefined || command === undefined
    ? { text: note }
    : { text: `${text}.`, command: command.replace(/^run /i, "") };
}
