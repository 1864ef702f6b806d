/** A span in which alerts are kept but not told. */
export interface Blackout {
  /**
   * ISO 8601 instants with their zone, `2026-03-01T02:00Z` or a date, which begins at midnight UTC; or every day between
   * two times of day in UTC, `02:00` to `04:30`, over midnight too.
   */
  readonly from: string;
  /** The end, which is not in it, written as `from` is. `24:00` is the end of the day. */
  readonly to: string;
  /** Rules it holds for; all when absent. */
  readonly rules?: readonly string[];
  /** Servers it holds for; all when absent. */
  readonly servers?: readonly string[];
}

/** True when a blackout covers that rule and server at that moment. */
export function isBlackedOut(
  blackouts: readonly Blackout[],
  { rule, server }: { readonly rule: string; readonly server: string },
  now: number,
): boolean {
  return blackouts.some(
    (blackout) =>
      (blackout.rules?.includes(rule) ?? true) && (blackout.servers?.includes(server) ?? true) && covers(blackout, now),
  );
}

/** What is wrong with blackouts, each with where it stands. A window that is never open would be found at night. */
export function blackoutProblems(
  blackouts: readonly Blackout[],
  known: { readonly rules: readonly string[]; readonly servers: readonly string[] },
): readonly string[] {
  return blackouts.flatMap(({ from, to, rules, servers }, index) => {
    const where = `blackouts[${index}]`;
    return [
      ...spanProblems(where, from, to),
      ...nameProblems(`${where}.rules`, "rule", rules, known.rules),
      ...nameProblems(`${where}.servers`, "server", servers, known.servers),
    ];
  });
}

function spanProblems(where: string, from: string, to: string): readonly string[] {
  const unread = Object.entries({ from, to }).filter(
    ([end, text]) => instantOf(text) === undefined && (minuteOfDay(text) ?? Infinity) > (end === "to" ? 1440 : 1439),
  );
  if (unread.length > 0) {
    return unread.map(
      ([end, text]) =>
        `${where}.${end} is ${JSON.stringify(text)}, which is neither a time of day in UTC ("02:00") nor an instant with its zone ("2026-03-01T02:00Z")`,
    );
  }
  const [start, end] = [instantOf(from), instantOf(to)];
  if ((start === undefined) !== (end === undefined)) {
    return [`${where} goes from "${from}" to "${to}": give two times of day or two instants`];
  }
  if (start !== undefined && end !== undefined) {
    return start < end ? [] : [`${where} ends at "${to}", not after it begins at "${from}"`];
  }
  return from === to ? [`${where} begins and ends at "${from}": "00:00" to "24:00" is the whole day`] : [];
}

function nameProblems(
  where: string,
  what: string,
  names: readonly string[] | undefined,
  known: readonly string[],
): readonly string[] {
  if (names?.length === 0) return [`${where} is empty: leave it out for every ${what}`];
  return (names ?? [])
    .filter((name) => !known.includes(name))
    .map((name) => `${where} names the ${what} "${name}", which does not exist`);
}

function covers({ from, to }: Blackout, now: number): boolean {
  const [start, end] = [minuteOfDay(from), minuteOfDay(to)];
  if (start === undefined || end === undefined) {
    return (instantOf(from) ?? Infinity) <= now && now < (instantOf(to) ?? -Infinity);
  }
  const minute = Math.floor(now / 60_000) % 1440;
  return start <= end ? start <= minute && minute < end : minute >= start || minute < end;
}

/** Minutes since midnight, to 1440; undefined for any other text. */
function minuteOfDay(text: string): number | undefined {
  const match = /^(\d\d):([0-5]\d)$/.exec(text);
  const minute = match ? Number(match[1]) * 60 + Number(match[2]) : Infinity;
  return minute <= 1440 ? minute : undefined;
}

const instant = /^(\d{4})-(\d\d)-(\d\d)(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/;

/** Milliseconds since the epoch; undefined for a text without a zone, which would be another moment elsewhere. */
function instantOf(text: string): number | undefined {
  const match = instant.exec(text);
  if (!match) return undefined;
  // A day that the month does not have would be read as one of the next month.
  const [year, month, day] = match.slice(1, 4).map(Number) as [number, number, number];
  if (new Date(Date.UTC(year, month - 1, day)).getUTCDate() !== day) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : at;
}
