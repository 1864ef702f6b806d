/** What a generator puts in one column. Dates and times come as text, already in ISO form. */
export type CopyValue = string | number | boolean | null;

/**
 * One line of `COPY … FROM STDIN` in text format, newline included.
 * @see https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
export function copyRow(values: readonly CopyValue[]): string {
  let line = "";
  for (let i = 0; i < values.length; i++) line += (i === 0 ? "" : "\t") + copyField(values[i]!);
  return `${line}\n`;
}

function copyField(value: CopyValue): string {
  if (value === null) return "\\N";
  if (typeof value === "string") return special.test(value) ? value.replace(everySpecial, escape) : value;
  return typeof value === "boolean" ? (value ? "t" : "f") : String(value);
}

const special = /[\\\b\f\n\r\t\v]/;
const everySpecial = /[\\\b\f\n\r\t\v]/g;
const escapes: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
};
const escape = (character: string): string => escapes[character]!;
