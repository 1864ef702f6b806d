import { hasOption } from "../statement.ts";
import { relationOf } from "../working-catalog.ts";
import { existingTable, type LintRule } from "./rule.ts";

/** Rules on indexes and on commands that rewrite or lock a whole table. */
export const indexRules: readonly LintRule[] = [
  {
    id: "index-not-concurrent",
    severity: "critical",
    grows: true,
    hint: "Use CREATE INDEX CONCURRENTLY; the runner then leaves the transaction away by itself.",
    *check(subject) {
      const { node, sql } = subject.statement;
      if (!("IndexStmt" in node) || node.IndexStmt.concurrent) return;
      const table = existingTable(subject, node.IndexStmt.relation);
      if (!table) return;
      const title = `creating an index stops writes to ${table.qualified} until it is built`;
      // A partitioned table takes no CONCURRENTLY: its partitions are indexed one by one and attached.
      const safer =
        table.known?.kind === "partitioned" ? {} : { safer: `${sql.replace(/\bindex\b/i, "index concurrently")};` };
      yield { table: table.qualified, title, ...safer };
    },
  },
  {
    id: "drop-index-not-concurrent",
    severity: "warn",
    grows: true,
    hint: "Use DROP INDEX CONCURRENTLY.",
    *check(subject) {
      const { node, sql } = subject.statement;
      if (!("DropStmt" in node) || node.DropStmt.removeType !== "OBJECT_INDEX" || node.DropStmt.concurrent) return;
      for (const object of node.DropStmt.objects ?? []) {
        const owner = subject.catalog.indexOwner(relationOf(object))?.table;
        if (owner?.fresh) continue;
        const table = owner ? `${owner.schema}.${owner.name}` : "its table";
        yield {
          ...(owner ? { table } : {}),
          title: `dropping an index waits for and blocks everything on ${table}`,
          safer: `${sql.replace(/\bindex\b/i, "index concurrently")};`,
        };
      }
    },
  },
  {
    id: "concurrent-index-unnamed",
    severity: "critical",
    grows: false,
    hint: "Name the index: a build cut short is then found, dropped and built again.",
    *check({ statement: { node } }) {
      if ("IndexStmt" in node && node.IndexStmt.concurrent && !node.IndexStmt.idxname) {
        yield { title: "an index built concurrently without a name cannot be recognised after a crash" };
      }
    },
  },
  {
    id: "duplicate-index",
    severity: "warn",
    grows: false,
    hint: "Drop one of the two: each costs every write.",
    *check({ statement: { node }, catalog }) {
      if (!("IndexStmt" in node) || node.IndexStmt.whereClause) return;
      const statement = node.IndexStmt;
      const columns = (statement.indexParams ?? []).map((one) =>
        "IndexElem" in one ? (one.IndexElem.name ?? null) : null,
      );
      if (columns.includes(null)) return;
      const twin = catalog
        .table(statement.relation)
        ?.indexes.find(
          (index) =>
            index.name !== statement.idxname &&
            !index.partial &&
            index.method === (statement.accessMethod ?? "btree") &&
            (index.unique || !statement.unique) &&
            index.columns.length === columns.length &&
            index.columns.every((name, position) => name === columns[position]),
        );
      if (twin)
        yield {
          title: `${twin.name} already indexes (${columns.join(", ")}) of ${catalog.qualify(statement.relation ?? {})}`,
        };
    },
  },
  {
    id: "reindex-not-concurrent",
    severity: "critical",
    grows: true,
    hint: "Use REINDEX … CONCURRENTLY.",
    *check(subject) {
      const { node, sql } = subject.statement;
      if (!("ReindexStmt" in node) || hasOption(node.ReindexStmt.params ?? [], "concurrently")) return;
      const [table] = subject.effects.locks;
      if (!table && node.ReindexStmt.relation && !existingTable(subject, node.ReindexStmt.relation)) return;
      const safer = `${sql.replace(/^(reindex\s+(?:\([^)]*\)\s*)?\w+)/i, "$1 concurrently")};`;
      const title = `reindexing stops writes to ${table?.relation ?? "its tables"} and reads through the index`;
      yield { ...(table ? { table: table.relation } : {}), title, safer };
    },
  },
  {
    id: "vacuum-full-cluster",
    severity: "critical",
    grows: true,
    hint: "Use pg_repack or pg_squeeze, or a quiet hour.",
    *check({ statement: { node }, effects }) {
      if (!("VacuumStmt" in node || "ClusterStmt" in node)) return;
      for (const table of effects.rewrites)
        yield { table, title: `VACUUM FULL or CLUSTER rewrites ${table} while nobody can read it` };
    },
  },
  {
    id: "refresh-matview",
    severity: "warn",
    grows: true,
    hint: "Add a unique index to the view and use REFRESH MATERIALIZED VIEW CONCURRENTLY.",
    *check(subject) {
      const { node } = subject.statement;
      if (!("RefreshMatViewStmt" in node) || node.RefreshMatViewStmt.concurrent) return;
      const view = existingTable(subject, node.RefreshMatViewStmt.relation);
      if (view) yield { table: view.qualified, title: `refreshing ${view.qualified} blocks everyone who reads it` };
    },
  },
];
