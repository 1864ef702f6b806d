import { StalePlanError } from "./errors.ts";
import type { HistoryEntry } from "./history.ts";
import type { AdoptedMigration, MigrationPlan, PlannedMigration } from "./plan.ts";

/** What is left of a plan once the history has been read under the lock. */
export interface Reconciliation {
  readonly migrations: readonly PlannedMigration[];
  readonly adopt: readonly AdoptedMigration[];
  /** Planned and meanwhile done by another runner. */
  readonly skipped: readonly string[];
  /** True when the history is exactly what the plan saw. */
  readonly unchanged: boolean;
}

/**
 * Holds a plan against the history as it is now. Another runner that got further with the same migrations is no
 * change; anything else is. Pure.
 * @throws {StalePlanError}
 */
export function reconcile(plan: MigrationPlan, entries: readonly HistoryEntry[]): Reconciliation {
  const now = new Map(entries.map((entry) => [entry.id, entry]));
  const known = new Map(plan.history.known.map((entry) => [entry.id, entry]));
  const planned = new Map<string, { readonly checksum: string }>(
    [...plan.adopt, ...plan.migrations].map((migration) => [migration.id, migration]),
  );
  const done = plan.direction === "down" ? "reverted" : "applied";
  const changes: string[] = [];
  const skipped = new Set<string>();
  let unchanged = true;
  for (const id of new Set([...now.keys(), ...known.keys()])) {
    const before = known.get(id);
    const after = now.get(id);
    if (before?.state === after?.state && before?.checksum === after?.checksum) continue;
    unchanged = false;
    const ours = planned.get(id);
    if (!after) changes.push(`${id} is no longer in the history`);
    else if (!ours) changes.push(`${id} is ${after.state} since the plan was made`);
    else if (after.checksum !== ours.checksum) changes.push(`${id} was run from another text since the plan was made`);
    else if (after.state === done) skipped.add(id);
    else if (after.state === "reverted") changes.push(`${id} was undone since the plan was made`);
    // Failed or interrupted in another runner: the same statements are due, and the journal says from where.
  }
  if (changes.length > 0) throw new StalePlanError(changes);
  return {
    migrations: plan.migrations.filter((migration) => !skipped.has(migration.id)),
    adopt: plan.adopt.filter((migration) => !skipped.has(migration.id)),
    skipped: [...skipped],
    unchanged,
  };
}
