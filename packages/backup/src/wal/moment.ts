/** Reads an ISO 8601 time with its zone to the microsecond, as PostgreSQL keeps them; a Date keeps milliseconds. */
export function parseMicros(text: string): bigint {
  const fraction = /\.(\d{1,6})/.exec(text)?.[1] ?? "";
  const whole = Date.parse(text.replace(/\.\d+/, ""));
  return BigInt(whole) * 1000n + BigInt(fraction.padEnd(6, "0"));
}

/** Writes microseconds since the epoch as `2026-11-10T03:00:00.123456Z`. */
export function formatMicros(micros: bigint): string {
  const seconds = new Date(Number(micros / 1_000_000n) * 1000).toISOString().slice(0, 19);
  return `${seconds}.${(micros % 1_000_000n).toString().padStart(6, "0")}Z`;
}
