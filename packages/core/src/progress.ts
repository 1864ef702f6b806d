/** One step of a long job, told while it runs. */
export interface Progress {
  /** Lower-case words, stable within a job: `copy`, `verify`. */
  readonly phase: string;
  readonly current: number;
  /** Absent while unknown. */
  readonly total?: number;
  readonly unit: "bytes" | "rows" | "files" | "steps";
  readonly message?: string;
}

/** Receives progress; must not throw and must return at once. */
export type OnProgress = (progress: Progress) => void;

/** Hears nothing: the default everywhere. */
export const noProgress: OnProgress = () => undefined;
