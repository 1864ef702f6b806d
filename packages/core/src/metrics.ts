/** Label names and values of one sample. */
export type Labels = Readonly<Record<string, string>>;

/** Where a feature reports its own counters; the orchestrator turns them into Prometheus text. */
export interface Metrics {
  /** Adds to a counter. `name` ends in `_total`. */
  count(name: string, labels?: Labels, by?: number): void;
  /** Sets a gauge, in base units (seconds, bytes, ratio). */
  gauge(name: string, value: number, labels?: Labels): void;
  /** Adds one observation to a histogram, in base units. */
  observe(name: string, value: number, labels?: Labels): void;
}

const nothing = (): void => undefined;

/** Keeps nothing: the default everywhere. */
export const noMetrics: Metrics = Object.freeze({ count: nothing, gauge: nothing, observe: nothing });
