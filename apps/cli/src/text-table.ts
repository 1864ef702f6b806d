/** Rows in columns, as wide as they need to be; numbers to the right, and columns that `toTheRight` says. */
export function textTable(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  toTheRight: readonly boolean[] = [],
): string {
  const cells = [
    head,
    ...rows.map((row) => row.map((cell) => (typeof cell === "number" ? cell.toLocaleString("en") : cell))),
  ];
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const right = head.map(
    (_, column) => toTheRight[column] ?? (rows.length > 0 && rows.every((row) => typeof row[column] === "number")),
  );
  return cells
    .map((row) =>
      row
        .map((cell, column) => (right[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
