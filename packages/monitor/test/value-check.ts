/** What an independent query says the metrics of one collector are. */
export interface ValueCheck {
  /** Label names and how the query tells them; the series of a metric that agree in these are added up. */
  readonly labels: Readonly<Record<string, string>>;
  readonly from: string;
  /** Metric and its value, in SQL. */
  readonly values: Readonly<Record<string, string>>;
  readonly on?: "primary" | "replica-1";
}

export const columnsOf = (prefix: string, names: string, suffix = "", source = ""): Record<string, string> =>
  Object.fromEntries(names.split(" ").map((name) => [`${prefix}${name}${suffix}`, `${source}${name}`]));
export const epoch = (sql: string): string => `extract(epoch from ${sql})`;

/** Time since a moment: it grows, so what is read between two answers lies between them. */
export const age = (sql: string): string => epoch(`clock_timestamp() - ${sql}`);

/** From one version on. */
export const since = <T>(version: number, first: number, given: readonly T[]): readonly T[] =>
  version >= first ? given : [];
