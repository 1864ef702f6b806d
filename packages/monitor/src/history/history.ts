/** One hour of one series. */
export interface SeriesHour {
  /** Name in `keySeries`. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Start of the hour, milliseconds since the epoch. */
  readonly at: number;
  readonly average: number;
  readonly highest: number;
  /** How many values it was made from: an hour begun before a restart goes on with its weight. */
  readonly samples: number;
}

/** Where hours outlive the process. All three calls may be repeated. */
export interface HistoryStore {
  /** Hours from a moment on, milliseconds since the epoch, in any order. */
  read(since: number): Promise<readonly SeriesHour[]>;
  /** Keeps hours; one that is there already is replaced. */
  write(hours: readonly SeriesHour[]): Promise<void>;
  /** Forgets whole days that ended before a moment. */
  expire(before: number): Promise<void>;
}

/** Remembers nothing over a restart: the default. */
export const noHistory: HistoryStore = Object.freeze({
  read: async () => [],
  write: async () => undefined,
  expire: async () => undefined,
});

/** Names a line the same whatever order its labels come in: a database does not keep it. */
export function keyOf(name: string, labels: Readonly<Record<string, string>>): string {
  return JSON.stringify([name, Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1))]);
}

export const hourMs = 3_600_000;
