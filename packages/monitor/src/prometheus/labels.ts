import type { MetricTable } from "../snapshot.ts";
import { type RowTexts, toRowTexts } from "./bytes.ts";

/** The labels of every row of a table as they stand in its lines. */
export function rowTextsOf(prefix: string, { labelNames, rows }: MetricTable): RowTexts {
  return toRowTexts(rows.map(({ labels }) => labelText(prefix, labelNames, labels)));
}

export function labelText(prefix: string, names: readonly string[], values: readonly string[]): string {
  let text = prefix;
  for (let i = 0; i < names.length; i++) {
    text += `${text === "" ? "" : ","}${names[i]!}="${escapeLabel(values[i] ?? "")}"`;
  }
  return text === "" ? "" : `{${text}}`;
}

const special = /[\\"\n]/;

export function escapeLabel(value: string): string {
  if (!special.test(value)) return value;
  return value
    .replaceAll("\\", "\\\\")
    .replaceAll('"', String.raw`\"`)
    .replaceAll("\n", String.raw`\n`);
}
