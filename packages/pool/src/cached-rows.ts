/** Freezes rows, and what they hold as far as it can be frozen: they are shared by everybody who asks the same. */
export function freezeRows(rows: readonly object[]): readonly object[] {
  for (const row of rows) freezeDeep(row);
  return Object.freeze(rows);
}

function freezeDeep(value: unknown): void {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return;
  // Bytes cannot be frozen.
  if (ArrayBuffer.isView(value)) return;
  Object.freeze(value);
  for (const inner of Object.values(value)) freezeDeep(inner);
}

/** About how much memory rows take, in bytes: text two for a character, numbers eight, and something for each object. */
export function sizeOfRows(rows: readonly object[]): number {
  return rows.reduce((sum, row) => sum + sizeOf(row), 64);
}

function sizeOf(value: unknown): number {
  if (typeof value === "string") return 16 + 2 * value.length;
  if (typeof value !== "object" || value === null) return 8;
  if (ArrayBuffer.isView(value)) return 64 + value.byteLength;
  return Object.values(value).reduce<number>((sum, inner) => sum + 8 + sizeOf(inner), 32);
}
