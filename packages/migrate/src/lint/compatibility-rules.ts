import { followedBy, inMigrations } from "./rewrite.ts";
import { existingTable, type LintRule, type LintSubject, sqlName } from "./rule.ts";
import { commandRule } from "./constraint-rules.ts";
import { relationOf, stringsOf } from "../working-catalog.ts";
import { viewColumns } from "../view-columns.ts";

const rewriting: Readonly<Record<string, string>> = {
  AT_SetLogged: "SET LOGGED",
  AT_SetUnLogged: "SET UNLOGGED",
  AT_SetAccessMethod: "SET ACCESS METHOD",
  AT_SetTableSpace: "SET TABLESPACE",
};

const droppable: Readonly<Record<string, string>> = {
  OBJECT_TABLE: "table",
  OBJECT_SCHEMA: "schema",
  OBJECT_DOMAIN: "domain",
  OBJECT_VIEW: "view",
  OBJECT_MATVIEW: "materialized view",
  OBJECT_TYPE: "type",
  OBJECT_SEQUENCE: "sequence",
  OBJECT_FUNCTION: "function",
  OBJECT_EXTENSION: "extension",
};

/** Rules on changes that lose data or that the application still running does not know of. */
export const compatibilityRules: readonly LintRule[] = [
  commandRule(
    {
      id: "set-storage-rewrite",
      severity: "critical",
      grows: true,
      hint: "Make a new table with the property and move the rows in batches.",
    },
    ({ table, command }, { effects }) => {
      const words = rewriting[command.subtype ?? ""];
      return words && effects.rewrites.includes(table)
        ? { title: `${words} copies all of ${table} under an exclusive lock` }
        : null;
    },
  ),
  commandRule(
    {
      id: "drop-column",
      severity: "warn",
      grows: false,
      hint: "Stop using the column in one release and drop it in the next; the data is gone for good.",
    },
    ({ table, command }) =>
      command.subtype === "AT_DropColumn"
        ? { title: `dropping ${command.name} of ${table} loses its data and breaks code that reads it` }
        : null,
  ),
  {
    id: "drop-object",
    severity: "warn",
    grows: false,
    hint: "Rename it first and drop it in a later release, when nothing has asked for it.",
    *check(subject) {
      const { node } = subject.statement;
      if (!("DropStmt" in node)) return;
      const kind = droppable[node.DropStmt.removeType ?? ""];
      if (!kind) return;
      for (const object of node.DropStmt.objects ?? []) {
        if (kind === "table" || kind === "view" || kind === "materialized view") {
          const table = existingTable(subject, relationOf(object));
          if (!table || (node.DropStmt.missing_ok && isUnknown(subject, table.known))) continue;
          if (kind !== "table" && isMadeAgain(subject, table.qualified)) continue;
          yield {
            title: `dropping ${kind} ${table.qualified}${kind === "table" ? " loses its rows and" : ""} breaks code that uses it`,
          };
        } else yield { title: `dropping a ${kind} breaks code that uses it` };
      }
    },
  },
  {
    id: "truncate",
    severity: "warn",
    grows: false,
    hint: "Delete in batches, or say why all rows may go.",
    *check({ statement: { node }, effects }) {
      if (!("TruncateStmt" in node)) return;
      for (const table of effects.rewrites) yield { title: `TRUNCATE empties ${table} under an exclusive lock` };
    },
  },
  {
    id: "rename",
    severity: "warn",
    grows: false,
    hint: "Keep the old name for the code still running: a view for a table, a second column for a column.",
    *check(subject) {
      const { node } = subject.statement;
      if ("AlterEnumStmt" in node && node.AlterEnumStmt.oldVal) {
        const { oldVal, newVal } = node.AlterEnumStmt;
        yield {
          title: `renaming the enum value "${oldVal}" to "${newVal}" breaks code that writes or compares the old one`,
        };
      }
      if (!("RenameStmt" in node)) return;
      const { renameType, relation, subname, newname } = node.RenameStmt;
      if (renameType === "OBJECT_SCHEMA") {
        yield { title: `renaming schema ${subname} to ${newname} breaks code that uses the old name` };
        return;
      }
      if (renameType === "OBJECT_INDEX") {
        const owner = subject.catalog.indexOwner(relation ?? {})?.table;
        const title = `renaming index ${relation?.relname} to ${newname} breaks hints and later migrations that name it`;
        if (!owner?.fresh) yield { title };
        return;
      }
      const table = existingTable(subject, relation);
      if (!table) return;
      if (renameType === "OBJECT_COLUMN") {
        yield { title: `renaming ${subname} of ${table.qualified} to ${newname} breaks code that uses the old name` };
      } else if (renameType === "OBJECT_TABLE" || renameType === "OBJECT_VIEW") {
        yield { title: `renaming ${table.qualified} to ${newname} breaks code that uses the old name` };
      }
    },
  },
  {
    id: "view-breaking-replace",
    severity: "critical",
    grows: false,
    hint: "Add columns only at the end, or make a view of another name.",
    *check({ statement: { node }, catalog }) {
      if (!("ViewStmt" in node) || !node.ViewStmt.replace) return;
      const known = catalog.table(node.ViewStmt.view);
      const names = viewColumns(node.ViewStmt);
      if (known?.kind !== "view" || !names) return;
      const moved = known.columns.find(({ name }, position) => names[position] !== name);
      if (moved)
        yield {
          title: `replacing ${known.schema}.${known.name} fails: its column ${moved.name} is dropped, moved or renamed`,
        };
    },
  },
  {
    id: "enum-position",
    severity: "info",
    grows: false,
    advice: true,
    hint: "Say BEFORE or AFTER which value it goes, if their order means anything.",
    *check({ statement: { node } }) {
      if (!("AlterEnumStmt" in node)) return;
      const { newVal, oldVal, newValNeighbor } = node.AlterEnumStmt;
      if (newVal && !oldVal && !newValNeighbor) yield { title: `the enum value "${newVal}" goes last in the order` };
    },
  },
  {
    id: "domain-check",
    severity: "critical",
    grows: true,
    hint: "Add it as NOT VALID, then ALTER DOMAIN … VALIDATE CONSTRAINT in a later migration.",
    *check({ statement: { node, sql }, effects }) {
      if (!("AlterDomainStmt" in node) || node.AlterDomainStmt.subtype === "V") return;
      const { def, typeName } = node.AlterDomainStmt;
      const name = def && "Constraint" in def && def.Constraint.contype === "CONSTR_CHECK" && def.Constraint.conname;
      const validate = `alter domain ${sqlName(...stringsOf(typeName))} validate constraint ${sqlName(name || "")}`;
      const safer = name ? { safer: inMigrations(followedBy(sql, "not valid"), validate) } : {};
      for (const table of effects.scans)
        yield { table, title: `a constraint of the domain stops writes to ${table} while it is read`, ...safer };
    },
  },
  {
    id: "create-domain-check",
    severity: "info",
    grows: false,
    advice: true,
    hint: "A CHECK on the column can be added and dropped without reading every table that uses the domain.",
    *check({ statement: { node } }) {
      if (!("CreateDomainStmt" in node)) return;
      const checks = (node.CreateDomainStmt.constraints ?? []).some(
        (one) => "Constraint" in one && one.Constraint.contype === "CONSTR_CHECK",
      );
      if (checks) yield { title: "a domain with a CHECK makes every column added with it rewrite its table" };
    },
  },
  {
    id: "set-schema",
    severity: "warn",
    grows: false,
    hint: "Leave a view of the old name in the old schema until no code uses it.",
    *check(subject) {
      const { node } = subject.statement;
      if (!("AlterObjectSchemaStmt" in node) || !/TABLE|VIEW/.test(node.AlterObjectSchemaStmt.objectType ?? "")) return;
      const table = existingTable(subject, node.AlterObjectSchemaStmt.relation);
      if (table)
        yield {
          title: `moving ${table.qualified} to ${node.AlterObjectSchemaStmt.newschema} breaks code that uses the old name`,
        };
    },
  },
];

/** True when a catalog was read and the relation is not in it: DROP … IF EXISTS then drops nothing. */
function isUnknown(subject: LintSubject, known: unknown): boolean {
  return known === undefined && subject.catalog.tables.size > 0;
}

/** Whether a view is there again, under its name, when the transaction that drops it ends: nobody ever misses it. */
function isMadeAgain({ transactional, after, catalog }: LintSubject, qualified: string): boolean {
  if (!transactional) return false;
  let isThere = false;
  for (const { node } of after) {
    if ("ViewStmt" in node) isThere ||= catalog.qualify(node.ViewStmt.view ?? {}) === qualified;
    else if ("CreateTableAsStmt" in node)
      isThere ||= catalog.qualify(node.CreateTableAsStmt.into?.rel ?? {}) === qualified;
    else if ("DropStmt" in node) {
      const dropped = (node.DropStmt.objects ?? []).map((object) => catalog.qualify(relationOf(object) ?? {}));
      isThere &&= !dropped.includes(qualified);
    }
  }
  return isThere;
}
