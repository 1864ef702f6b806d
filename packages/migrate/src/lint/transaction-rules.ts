import { transactionNeed } from "../statement.ts";
import type { TableLock } from "../table-lock.ts";
import { walk } from "../volatility.ts";
import { stringsOf } from "../working-catalog.ts";
import { existingTable, type LintRule } from "./rule.ts";

/** Rules on what must or must not share a transaction, and on data changes. */
export const transactionRules: readonly LintRule[] = [
  {
    id: "concurrently-in-tx",
    severity: "critical",
    grows: false,
    hint: "Remove transaction=true from the section: the runner finds out by itself.",
    *check({ statement, transactional, catalog }) {
      if (transactional && transactionNeed(statement.node, catalog.serverVersion) === "outside") {
        yield { title: `${statement.kind} cannot run in a transaction and would fail` };
      }
    },
  },
  {
    id: "enum-add-and-use",
    severity: "critical",
    grows: false,
    hint: "Use the new value in a later migration: it can be used only after the transaction that added it has committed.",
    *check({ statement, transactional, before }) {
      if (!transactional) return;
      // A type of the same transaction has no such bounds.
      const fresh = new Set(
        before.map(({ statement: { node } }) =>
          "CreateEnumStmt" in node ? stringsOf(node.CreateEnumStmt.typeName).at(-1) : null,
        ),
      );
      const added = new Set(
        before.flatMap(({ statement: { node } }) => {
          if (!("AlterEnumStmt" in node) || !node.AlterEnumStmt.newVal || node.AlterEnumStmt.oldVal) return [];
          return fresh.has(stringsOf(node.AlterEnumStmt.typeName).at(-1)) ? [] : [node.AlterEnumStmt.newVal];
        }),
      );
      if (added.size === 0 || "AlterEnumStmt" in statement.node) return;
      const used = new Set<string>();
      walk(statement.node, (name, fields) => {
        const value = name === "A_Const" ? (fields as { sval?: { sval?: string } }).sval?.sval : undefined;
        if (value !== undefined && added.has(value)) used.add(value);
      });
      for (const value of used)
        yield { title: `the enum value "${value}" is added and used in one transaction, which fails` };
    },
  },
  {
    id: "ddl-and-backfill",
    severity: "warn",
    grows: true,
    hint: "Move the data change to a file of its own, so that the lock is gone before it starts.",
    *check(subject) {
      const { node } = subject.statement;
      if (!subject.transactional) return;
      const target =
        "UpdateStmt" in node ? node.UpdateStmt.relation : "DeleteStmt" in node ? node.DeleteStmt.relation : undefined;
      const isCopy = "InsertStmt" in node && !hasValues(node.InsertStmt.selectStmt);
      const written = existingTable(subject, target ?? (isCopy ? node.InsertStmt.relation : undefined));
      if (!written) return;
      const held = subject.before.flatMap(({ effects }) => effects.locks).find(isExclusive);
      if (!held) return;
      const title = `changing rows of ${written.qualified} keeps ${held.relation} locked exclusively until the end`;
      yield { table: written.qualified, title };
    },
  },
  {
    id: "opaque-sql",
    severity: "info",
    grows: false,
    hint: "What a DO block, a procedure or EXECUTE locks cannot be read off it: say so in a comment, or write plain SQL.",
    *check({ effects, statement }) {
      if (effects.opaque) yield { title: `what ${statement.kind} does to tables cannot be told` };
    },
  },
  {
    id: "not-idempotent",
    severity: "info",
    grows: false,
    advice: true,
    hint: "The journal resumes where it stopped; IF [NOT] EXISTS is for people who run the file by hand.",
    *check({ statement: { node }, transactional }) {
      if (transactional) return;
      const guarded =
        ("IndexStmt" in node && !node.IndexStmt.if_not_exists) ||
        ("CreateStmt" in node && !node.CreateStmt.if_not_exists) ||
        ("DropStmt" in node && !node.DropStmt.missing_ok);
      if (guarded) yield { title: "the statement runs outside a transaction and cannot be run twice" };
    },
  },
  {
    id: "unbatched-change",
    severity: "warn",
    grows: true,
    hint: "Change the rows in batches, each in its own transaction: an online migration does.",
    *check(subject) {
      const { node } = subject.statement;
      const change = "UpdateStmt" in node ? node.UpdateStmt : "DeleteStmt" in node ? node.DeleteStmt : undefined;
      const copy = "InsertStmt" in node && !hasValues(node.InsertStmt.selectStmt) ? node.InsertStmt : undefined;
      if (!copy && !change?.whereClause) return;
      const table = existingTable(subject, (change ?? copy)?.relation);
      const rows = table?.known?.rows ?? 0;
      if (table && rows >= manyRows) {
        yield {
          table: table.qualified,
          title: `one statement may change many of the ${rows} rows of ${table.qualified}`,
        };
      }
    },
  },
  {
    id: "change-all-rows",
    severity: "warn",
    grows: true,
    hint: "Change the rows in batches, each in its own transaction.",
    *check(subject) {
      const { node } = subject.statement;
      const change = "UpdateStmt" in node ? node.UpdateStmt : "DeleteStmt" in node ? node.DeleteStmt : undefined;
      if (!change || change.whereClause) return;
      // Under an exclusive lock the lock is the greater harm, and told of.
      if (subject.transactional && subject.before.some(({ effects }) => effects.locks.some(isExclusive))) return;
      const table = existingTable(subject, change.relation);
      const verb = "UpdateStmt" in node ? "updating" : "deleting";
      if (table)
        yield { table: table.qualified, title: `${verb} every row of ${table.qualified} locks them all until the end` };
    },
  },
  {
    id: "missing-fk-index",
    severity: "info",
    grows: false,
    advice: true,
    hint: "Index the column concurrently: without it a delete or key change of the parent reads the whole table.",
    *check({ statement: { node }, catalog, outcome }) {
      const relation =
        "AlterTableStmt" in node
          ? node.AlterTableStmt.relation
          : "CreateStmt" in node
            ? node.CreateStmt.relation
            : undefined;
      if (!relation) return;
      const table = outcome.tables.get(catalog.qualify(relation));
      if (!table) return;
      for (const columns of foreignKeysIn(node)) {
        const isCovered = table.indexes.some(
          (index) => !index.partial && columns.every((_, position) => columns.includes(index.columns[position] ?? "")),
        );
        if (!isCovered)
          yield { title: `no index covers the foreign key (${columns.join(", ")}) of ${table.schema}.${table.name}` };
      }
    },
  },
];

const manyRows = 100_000;

function isExclusive({ mode }: TableLock): boolean {
  return mode === "AccessExclusive";
}

function hasValues(select: unknown): boolean {
  const statement = (select as { SelectStmt?: { valuesLists?: unknown[] } } | undefined)?.SelectStmt;
  return statement === undefined || (statement.valuesLists ?? []).length > 0;
}

/** The column lists of the foreign keys a statement declares, inline or not. */
function foreignKeysIn(node: unknown): string[][] {
  const found: string[][] = [];
  walk(node, (name, fields) => {
    if (name === "ColumnDef") {
      const column = fields as { colname?: string; constraints?: { Constraint?: { contype?: string } }[] };
      const isForeign = (column.constraints ?? []).some((one) => one.Constraint?.contype === "CONSTR_FOREIGN");
      if (isForeign && column.colname) found.push([column.colname]);
    } else if (name === "Constraint") {
      const constraint = fields as { contype?: string; fk_attrs?: never[] };
      if (constraint.contype === "CONSTR_FOREIGN" && constraint.fk_attrs) found.push(stringsOf(constraint.fk_attrs));
    }
  });
  return found;
}
