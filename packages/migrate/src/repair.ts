import { type DatabaseLike, type Queryable, systemClock, toDatabase } from "@db/core";
import { type ComparedMigration, compareHistory } from "./comparison.ts";
import { MigrationOptionsError, StalePlanError } from "./errors.ts";
import { readMigrationFolder } from "./folder.ts";
import { History } from "./history.ts";
import { findChainBreak, relink } from "./history-chain.ts";
import { findLostTail, forgetTailSql } from "./history-tail.ts";
import { type MigrationOptions, planDefaults } from "./options.ts";
import { type MigrationInputs, readInputs } from "./planning.ts";
import { readServer, requireWritable } from "./server.ts";

/** One thing that may be put right, to be chosen by its id. */
export interface RepairAction {
  /** `accept-change:0003_email`: stable for the same state of folder and database. */
  readonly id: string;
  readonly kind:
    | "accept-change"
    | "rename"
    | "forget-missing"
    | "clear-failed"
    | "drop-invalid-index"
    | "relink"
    | "forget-lost";
  /** Null for an index, and for the chain of the whole history. */
  readonly migration: string | null;
  readonly title: string;
  /** What it does, and what to have looked at before. */
  readonly hint: string;
  readonly sql: string;
  /** Whether it is done without having been named: it cannot hide anything. */
  readonly safe: boolean;
}

/** What could be put right, as plain JSON. Nothing is done by it: `applyRepair` does what was chosen. */
export interface RepairPlan {
  readonly format: 1;
  readonly history: { readonly schema: string; readonly table: string };
  readonly actions: readonly RepairAction[];
}

/** What was put right. */
export interface RepairReport {
  readonly done: readonly string[];
  readonly left: readonly string[];
}

// A build that is under way is invalid too: it holds a lock on its table.
const invalidIndexesSql = /* sql */ `
  select quote_ident(n.nspname) || '.' || quote_ident(c.relname) as index,
         quote_ident(n.nspname) || '.' || quote_ident(t.relname) as table
    from pg_catalog.pg_index i
    join pg_catalog.pg_class c on c.oid = i.indexrelid
    join pg_catalog.pg_class t on t.oid = i.indrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where not i.indisvalid and c.relkind = 'i' and n.nspname !~ '^pg_'
     and not exists (select from pg_catalog.pg_locks l
                      where l.relation = i.indrelid and l.mode = 'ShareUpdateExclusiveLock' and l.granted)
   order by 1`;

/**
 * Plans what can be put right in the history and the catalog: edited, renamed, missing and failed migrations, and
 * indexes that a broken build left. Writes nothing.
 * @throws as `migrationStatus`
 */
export async function planRepair(db: DatabaseLike, options: MigrationOptions): Promise<RepairPlan> {
  const folder = await readMigrationFolder(options.directory, options.placeholders);
  return toDatabase(db).withSession(async (session) => {
    const inputs = await readInputs(session, folder, options);
    const { history } = inputs;
    const { migrations } = compareHistory(folder, inputs.entries ?? [], inputs, planDefaults);
    const indexes = await session.query<{ index: string; table: string }>(invalidIndexesSql);
    return {
      format: 1,
      history: { schema: history.schema, table: history.table },
      actions: [
        ...migrations.flatMap((one) => historyActions(history, one)),
        ...tamperingActions(inputs),
        ...indexes.rows.map(({ index, table }) => ({
          id: `drop-invalid-index:${index}`,
          kind: "drop-invalid-index" as const,
          migration: null,
          title: `the index ${index} on ${table} is invalid: every write maintains it and no query uses it`,
          hint: "Drops it; build it again with CREATE INDEX CONCURRENTLY.",
          sql: `drop index concurrently ${index}`,
          safe: true,
        })),
      ],
    };
  });
}

function tamperingActions({ history, entries, lostTail }: MigrationInputs): RepairAction[] {
  const broken = findChainBreak(entries ?? []);
  const actions: RepairAction[] = [];
  if (broken) {
    actions.push({
      id: "relink",
      kind: "relink",
      migration: null,
      title: `the history was changed by hand before ${broken.id}`,
      hint: "Takes the rows as they are for what ran: compare them with a backup first.",
      sql: history.relinkSql(relink(entries ?? [])),
      safe: false,
    });
  }
  if (lostTail !== null) {
    actions.push({
      id: `forget-lost:${lostTail}`,
      kind: "forget-lost",
      migration: lostTail,
      title: `the row of ${lostTail}, applied last, was deleted by hand`,
      hint: "Takes that for meant: the migration runs once more.",
      sql: forgetTailSql(history, lostTail),
      safe: false,
    });
  }
  return actions;
}

function historyActions(history: History, { id, state, file, entry }: ComparedMigration): RepairAction[] {
  if (!entry) return [];
  const action = (
    kind: RepairAction["kind"],
    parts: Pick<RepairAction, "title" | "hint" | "sql" | "safe">,
  ): RepairAction[] => [{ id: `${kind}:${id}`, kind, migration: id, ...parts }];
  if (file && entry.id !== file.id) {
    return action("rename", {
      title: `${entry.id} is applied and its file is now called ${file.file}`,
      hint: "Gives the history the new name; the SQL is the same.",
      sql: history.renameSql(entry.id, file.id, file.name),
      safe: true,
    });
  }
  if (state === "changed" && file) {
    return action("accept-change", {
      title: `${file.file} was edited after it ran`,
      hint: "Takes the file as it is now for what ran: be sure that the database has what it says.",
      sql: history.acceptSql(entry, file.checksum),
      safe: false,
    });
  }
  if (state === "missing") {
    return action("forget-missing", {
      title: `${entry.id} is applied and has no file`,
      hint: "Removes its row, and its down section with it: it cannot be undone any more.",
      sql: history.forgetSql(entry),
      safe: false,
    });
  }
  if (state === "failed" && entry.statementsDone === 0) {
    return action("clear-failed", {
      title: `${entry.id} failed and left nothing behind`,
      hint: "Removes its row: it is pending again, as if it had never been tried.",
      sql: history.forgetSql(entry),
      safe: true,
    });
  }
  return [];
}

/** Corrects rows in one transaction, and links what is left of them: a chain that held before holds after it. */
async function repairRows(
  session: Queryable,
  history: History,
  due: readonly RepairAction[],
  held: boolean,
): Promise<void> {
  await session.query("begin");
  try {
    for (const action of due) {
      const { rows } = await session.query(action.sql);
      if (rows.length > 0) continue;
      throw new StalePlanError([`${action.migration ?? "the history"} is not as it was when the repair was planned`]);
    }
    const entries = (await history.read(session)) ?? [];
    if (entries.length > 0 && (held || due.some(({ kind }) => kind === "relink"))) {
      const links = relink(entries);
      if (links.length > 0) await session.query(history.relinkSql(links));
    }
    const forgotten = due.filter(({ kind }) => kind === "forget-missing").map(({ migration }) => migration);
    const lost = forgotten.length === 0 ? null : await findLostTail(session, history, entries);
    if (lost !== null && forgotten.includes(lost)) await session.query(forgetTailSql(history, lost));
    await session.query("commit");
  } catch (error) {
    await session.query("rollback").catch(() => undefined);
    throw error;
  }
}

/**
 * Does what was chosen of a repair plan, under the migration lock. What moved since the plan was made is not touched.
 * @param chosen ids of actions; by default the safe ones
 * @throws {MigrationOptionsError} when an id is none of the plan's, {@link StalePlanError} when a row moved
 */
export async function applyRepair(
  db: DatabaseLike,
  plan: RepairPlan,
  { chosen, signal }: { readonly chosen?: readonly string[]; readonly signal?: AbortSignal } = {},
): Promise<RepairReport> {
  const unknown = (chosen ?? []).filter((id) => !plan.actions.some((action) => action.id === id));
  if (unknown.length > 0) {
    throw new MigrationOptionsError(`the repair plan has no action ${unknown.join(", ")}`, {
      hint: `Choose from: ${plan.actions.map(({ id }) => id).join(", ") || "none"}.`,
    });
  }
  const due = plan.actions.filter(({ id, safe }) => (chosen ? chosen.includes(id) : safe));
  const done: string[] = [];
  if (due.length > 0) {
    await toDatabase(db).withSession(async (given) => {
      requireWritable(await readServer(given));
      const waiting = {
        timeoutMs: 600_000,
        clock: systemClock,
        signal: signal ?? new AbortController().signal,
        onEvent: () => undefined,
      };
      const { withMigrationLock } = await import("./migration-lock.ts");
      const history = new History(plan.history);
      await withMigrationLock(given, history, waiting, async ({ session }) => {
        const rows = due.filter(({ kind }) => kind !== "drop-invalid-index");
        const held = !plan.actions.some(({ kind }) => kind === "relink");
        if (rows.length > 0) await repairRows(session, history, rows, held);
        done.push(...rows.map(({ id }) => id));
        for (const { id, kind, sql } of due) {
          if (kind !== "drop-invalid-index") continue;
          await session.query(sql);
          done.push(id);
        }
      });
    });
  }
  return { done, left: plan.actions.map(({ id }) => id).filter((id) => !done.includes(id)) };
}
