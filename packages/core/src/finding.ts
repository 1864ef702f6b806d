/** How much a finding matters: to know, to act on soon, to act on now. */
export type Severity = "info" | "warn" | "critical";

/**
 * One result of a check: monitoring, validation, lint and index analysis all report in this shape, and the CLI
 * and the server pass it on as it is.
 */
export interface Finding {
  /** Stable, upper case with dashes: `PG-XMIN-01`. */
  readonly id: string;
  readonly severity: Severity;
  /** One line that says what is wrong and where. Holds no row values and no secrets. */
  readonly title: string;
  /** What it is about: a table, an index, a setting, a server. */
  readonly subject?: string;
  readonly observed?: number | string;
  readonly threshold?: number | string;
  readonly unit?: string;
  /** Since when it has held, as far as known. ISO 8601. */
  readonly since?: string;
  /** Why it matters and what to do, one or two sentences. */
  readonly hint?: string;
  /** The exact command that mends or shows it. */
  readonly command?: string;
  readonly docs?: string;
}

const rank: Readonly<Record<Severity, number>> = { critical: 0, warn: 1, info: 2 };

/** Orders findings worst first; equal ones keep a stable order by id and subject. */
export function compareFindings(a: Finding, b: Finding): number {
  return (
    rank[a.severity] - rank[b.severity] || a.id.localeCompare(b.id) || (a.subject ?? "").localeCompare(b.subject ?? "")
  );
}
