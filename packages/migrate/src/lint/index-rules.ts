import { hasOption } from "../statement.ts";
import { alterCommands } from "../effects.ts";
import { relationOf, type RelationName, stringsOf } from "../working-catalog.ts";
import { concurrentIndex, ended } from "./rewrite.ts";
import { existingTable, type LintRule, sqlName } from "./rule.ts";

/** The object of a DROP as SQL names it. */
function named(object: Parameters<typeof relationOf>[0]): string {
  const { schemaname, relname = "" } = relationOf(object);
  return schemaname === undefined ? sqlName(relname) : sqlName(schemaname, relname);
}

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
      const isPartitioned = table.known?.kind === "partitioned";
      const safer = isPartitioned ? null : concurrentIndex(sql, node.IndexStmt, subject.catalog);
      yield { table: table.qualified, title, ...(safer === null ? {} : { safer: ended(safer) }) };
    },
  },
  {
    id: "drop-index-not-concurrent",
    severity: "warn",
    grows: true,
    hint: "Use DROP INDEX CONCURRENTLY.",
    *check(subject) {
      const { node } = subject.statement;
      if (!("DropStmt" in node) || node.DropStmt.removeType !== "OBJECT_INDEX" || node.DropStmt.concurrent) return;
      const { objects = [], behavior, missing_ok: isLenient } = node.DropStmt;
      const owners = objects.map((object) => subject.catalog.indexOwner(relationOf(object))?.table);
      // One index at a time, and nothing that hangs on it.
      const isPossible = behavior !== "DROP_CASCADE" && owners.every((owner) => owner?.kind !== "partitioned");
      const drops = objects.map((one) => `drop index concurrently ${isLenient ? "if exists " : ""}${named(one)};`);
      for (const owner of owners) {
        if (owner?.fresh) continue;
        const table = owner ? `${owner.schema}.${owner.name}` : "its table";
        yield {
          ...(owner ? { table } : {}),
          title: `dropping an index waits for and blocks everything on ${table}`,
          ...(isPossible ? { safer: drops.join("\n") } : {}),
        };
      }
    },
  },
  {
    id: "concurrent-index-unnamed",
    severity: "critical",
    grows: false,
    hint: "Name the index: a build cut short is then found, dropped and built again.",
    *check({ statement: { node, sql }, catalog }) {
      if ("IndexStmt" in node && node.IndexStmt.concurrent && !node.IndexStmt.idxname) {
        const safer = concurrentIndex(sql, node.IndexStmt, catalog);
        yield {
          title: "an index built concurrently without a name cannot be recognised after a crash",
          ...(safer === null ? {} : { safer: ended(safer) }),
        };
      }
    },
  },
  {
    id: "concurrent-index-corrupt",
    severity: "critical",
    grows: false,
    hint: "Update the server to 14.4 or newer first, then build the index.",
    *check({ statement: { node }, catalog: { serverVersion } }) {
      if (serverVersion < 140_000 || serverVersion >= 140_004) return;
      const builds = "IndexStmt" in node && node.IndexStmt.concurrent;
      const rebuilds = "ReindexStmt" in node && hasOption(node.ReindexStmt.params ?? [], "concurrently");
      if (builds || rebuilds)
        yield { title: "PostgreSQL 14.0 to 14.3 may leave rows out of an index built concurrently" };
    },
  },
  {
    id: "index-too-wide",
    severity: "info",
    grows: false,
    advice: true,
    hint: "Three columns are as a rule enough to find rows; put what is only read into INCLUDE.",
    *check({ statement: { node } }) {
      if (!("IndexStmt" in node) || node.IndexStmt.unique) return;
      const { length } = node.IndexStmt.indexParams ?? [];
      if (length > 3) yield { title: `the index has ${length} key columns, which every write pays for` };
    },
  },
  {
    id: "unique-may-fail",
    severity: "info",
    grows: false,
    advice: true,
    hint: "Look for duplicates first: the query below finds one.",
    *check(subject) {
      const { node } = subject.statement;
      const found: { relation: RelationName | undefined; columns: readonly string[] }[] = [];
      if ("IndexStmt" in node && node.IndexStmt.unique && !node.IndexStmt.whereClause) {
        const names = (node.IndexStmt.indexParams ?? []).map((one) =>
          "IndexElem" in one ? one.IndexElem.name : undefined,
        );
        const columns = names.filter((name) => name !== undefined);
        if (columns.length === names.length) found.push({ relation: node.IndexStmt.relation, columns });
      } else if ("AlterTableStmt" in node) {
        for (const { subtype, def } of alterCommands(node.AlterTableStmt)) {
          if (subtype !== "AT_AddConstraint" || !def || !("Constraint" in def) || def.Constraint.indexname) continue;
          if (!/UNIQUE|PRIMARY/.test(def.Constraint.contype ?? "")) continue;
          found.push({ relation: node.AlterTableStmt.relation, columns: stringsOf(def.Constraint.keys) });
        }
      }
      for (const { relation, columns } of found) {
        const table = existingTable(subject, relation);
        if (!table || table.known?.rows === 0) continue;
        const list = columns.map((name) => sqlName(name)).join(", ");
        yield {
          title: `a uniqueness on (${columns.join(", ")}) fails when ${table.qualified} already has duplicates`,
          safer: `select ${list}, count(*) from ${sqlName(...table.qualified.split("."))} group by ${list} having count(*) > 1 limit 1;`,
        };
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
      const concurrent = sql.replace(/^(reindex\s+(?:\([^)]*\)\s*)?\w+)/i, "$1 concurrently");
      // The system's own tables take no CONCURRENTLY.
      const safer = node.ReindexStmt.kind === "REINDEX_OBJECT_SYSTEM" ? {} : { safer: ended(concurrent) };
      const title = `reindexing stops writes to ${table?.relation ?? "its tables"} and reads through the index`;
      yield { ...(table ? { table: table.relation } : {}), title, ...safer };
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
      if (!view) return;
      const isKeyed = view.known?.indexes.some(
        (one) => one.unique && one.valid && !one.partial && !one.columns.includes(null),
      );
      const safer = `refresh materialized view concurrently ${sqlName(...view.qualified.split("."))};`;
      yield {
        table: view.qualified,
        title: `refreshing ${view.qualified} blocks everyone who reads it`,
        ...(isKeyed && !node.RefreshMatViewStmt.skipData ? { safer } : {}),
      };
    },
  },
];
