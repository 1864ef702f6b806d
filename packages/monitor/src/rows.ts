// How live collectors read: each value as text between characters that no value holds. Of all ways to have many values
// of several types sent as one, the server does this one fastest: JSON looks every type up for every value.

/** The fields of a row as the server wrote them. Null is the empty string. */
export type Row = readonly string[];

/** Ends what one statement gave, among those that were joined. */
const groupSeparator = String.raw`E'\x1d'`;
const recordSeparator = String.raw`E'\x1e'`;
const unitSeparator = String.raw`E'\x1f'`;

/** A function takes a hundred arguments. */
const mostColumns = 50;

/** A statement that gives rows of fields. What may hold any character must be `freeText`. */
export function rowsSql(columns: readonly string[], rest: string): string {
  const parts: string[] = [];
  for (let i = 0; i < columns.length; i += mostColumns) {
    const fields = columns.slice(i, i + mostColumns).join(`, ${unitSeparator}, `);
    parts.push(`pg_catalog.concat(${fields}, ${i + mostColumns < columns.length ? unitSeparator : recordSeparator})`);
  }
  return `select ${parts.join(" || ")} as r ${rest}`;
}

/** Text that users choose. A character that would end a field is shown as a question mark. */
export function freeText(sql: string): string {
  return String.raw`pg_catalog.translate((${sql})::text, E'\x1d\x1e\x1f', '???')`;
}

/** Several statements made by `rowsSql` as one, which gives one value `r`. */
export function joinSql(mark: string, texts: readonly string[]): string {
  const all = texts.map((text) => `(select pg_catalog.string_agg(t.r, '') from (${text}) t)`);
  const parts: string[] = [];
  for (let i = 0; i < all.length; i += mostColumns) {
    parts.push(`pg_catalog.concat(${all.slice(i, i + mostColumns).join(`, ${groupSeparator}, `)})`);
  }
  return `select ${mark} ${parts.join(` || ${groupSeparator} || `)} as r`;
}

/** What each of the joined statements gave. */
export function splitAnswer(answer: string): readonly string[] {
  return answer.split("\u001D");
}

/** The rows of one statement. */
export function toRows(answer: string): readonly Row[] {
  const rows: Row[] = [];
  for (let start = 0; start < answer.length;) {
    const end = answer.indexOf("\u001E", start);
    if (end === -1) break;
    rows.push(answer.slice(start, end).split("\u001F"));
    start = end + 1;
  }
  return rows;
}
