import { AbortedError, type DatabaseLike, messageOf } from "@db/core";
import { applyMigrations } from "./applying.ts";
import { MigrationFailedError, MigrationOptionsError } from "./errors.ts";
import type { ApplyOptions, PlanOptions } from "./options.ts";
import { planMigrations } from "./planning.ts";
import type { MigrationReport } from "./report.ts";

/** One tenant: a database of its own, or a schema in a shared one. */
export interface Tenant {
  readonly name: string;
  /** Connects. Called when the tenant's turn has come; `end` is awaited after it. */
  readonly connect: () => Promise<{ readonly db: DatabaseLike; readonly end: () => Promise<void> }>;
  /** Values of this tenant alone, such as its schema; they win over those of all. */
  readonly placeholders?: Readonly<Record<string, string>>;
  /** Schema of its history. Needed where several tenants share a database. */
  readonly historySchema?: string;
}

export interface TenantOptions extends PlanOptions, Pick<ApplyOptions, "allowBlocked" | "signal" | "logger"> {
  /** May be endless in length: tenants are asked for as workers come free. */
  readonly tenants: Iterable<Tenant> | AsyncIterable<Tenant>;
  /** How many at once. Default 4. */
  readonly parallel?: number;
  /** Go on with other tenants after one failed. Default true; false starts no more. */
  readonly goOn?: boolean;
  /** Told of each tenant as it ends. */
  readonly onTenant?: (run: TenantRun) => void;
}

/** How one tenant went. */
export interface TenantRun {
  readonly tenant: string;
  readonly outcome: "applied" | "nothing-pending" | "failed";
  /** What was done, a failure's part included; null when it did not come to that. */
  readonly report: MigrationReport | null;
  readonly message: string | null;
}

/** All tenants, as plain JSON, in the order they ended. */
export interface TenantReport {
  readonly runs: readonly TenantRun[];
  readonly applied: number;
  readonly upToDate: number;
  readonly failed: number;
}

/**
 * Brings many tenants to the same version, several at once. A tenant that fails stops no other, and another call goes
 * on where this one ended: each keeps its own history.
 * @throws {MigrationOptionsError} for options that cannot be; what goes wrong with a tenant is in the report
 */
export async function migrateTenants(options: TenantOptions): Promise<TenantReport> {
  const {
    tenants,
    parallel = 4,
    goOn = true,
    onTenant = () => undefined,
    allowBlocked = false,
    signal,
    logger,
    ...plan
  } = options;
  if (!Number.isInteger(parallel) || parallel < 1) {
    throw new MigrationOptionsError(`parallel must be a whole number from 1, got ${parallel}`);
  }
  const runs: TenantRun[] = [];
  const queue = Symbol.asyncIterator in tenants ? tenants[Symbol.asyncIterator]() : tenants[Symbol.iterator]();
  const applying = { allowBlocked, ...(signal ? { signal } : {}), ...(logger ? { logger } : {}) };
  const work = async (): Promise<void> => {
    for (;;) {
      if (signal?.aborted || (!goOn && runs.some(({ outcome }) => outcome === "failed"))) return;
      const next = await queue.next();
      if (next.done === true) return;
      const run = await migrateTenant(next.value, plan, applying);
      runs.push(run);
      onTenant(run);
    }
  };
  await Promise.all(Array.from({ length: parallel }, work));
  if (signal?.aborted) throw new AbortedError("the tenants' migration was aborted", { cause: signal.reason });
  const count = (outcome: TenantRun["outcome"]): number => runs.filter((run) => run.outcome === outcome).length;
  return { runs, applied: count("applied"), upToDate: count("nothing-pending"), failed: count("failed") };
}

async function migrateTenant(tenant: Tenant, plan: PlanOptions, applying: ApplyOptions): Promise<TenantRun> {
  const placeholders = { ...plan.placeholders, ...tenant.placeholders };
  const own: PlanOptions = {
    ...plan,
    ...(Object.keys(placeholders).length === 0 ? {} : { placeholders }),
    ...(tenant.historySchema === undefined ? {} : { schema: tenant.historySchema }),
  };
  try {
    const connection = await tenant.connect();
    try {
      const report = await applyMigrations(connection.db, await planMigrations(connection.db, own), {
        ...applying,
        // Another tenant of the same database changes its catalog meanwhile; the files decide.
        checkCatalog: tenant.historySchema === undefined,
      });
      const isDone = report.applied.length === 0 && report.adopted.length === 0;
      return { tenant: tenant.name, outcome: isDone ? "nothing-pending" : "applied", report, message: null };
    } finally {
      await connection.end();
    }
  } catch (error) {
    const report = error instanceof MigrationFailedError ? error.report : null;
    return { tenant: tenant.name, outcome: "failed", report, message: messageOf(error) };
  }
}
