/** One section of a connection service file. */
export interface ServiceSection {
  /** libpq keywords and their values. */
  readonly values: ReadonlyMap<string, string>;
  /** Lines of the section that are no assignment, counted from 1. */
  readonly unreadableLines: readonly number[];
}

/**
 * The section of a service, or `undefined`. The first section of that name counts, and in it the first value of a
 * keyword. Comments begin a line.
 * @see https://www.postgresql.org/docs/current/libpq-pgservice.html
 */
export function readService(text: string, name: string): ServiceSection | undefined {
  const lines = text.replace(/^\uFEFF/, "").split(/\r\n|\n|\r/);
  const start = lines.findIndex((line) => line.trim() === `[${name}]`);
  if (start === -1) return undefined;
  const values = new Map<string, string>();
  const unreadableLines: number[] = [];
  for (const [index, line] of lines.entries()) {
    if (index <= start || /^\s*(#|$)/.test(line)) continue;
    if (line.trim().startsWith("[")) break;
    const match = /^\s*([a-z_]+)\s*=\s*(.*?)\s*$/i.exec(line);
    if (match === null) unreadableLines.push(index + 1);
    else if (!values.has(match[1]!.toLowerCase())) values.set(match[1]!.toLowerCase(), match[2]!);
  }
  return { values, unreadableLines };
}
