import type { ColumnDef, Constraint } from "libpg-query";
import { alterCommands } from "../effects.ts";
import { columnConstraints, isSerial, sqlTypeOf } from "../sql-type.ts";
import { relationOf, stringsOf } from "../working-catalog.ts";
import type { LintRule, LintSubject, RuleHit } from "./rule.ts";

/** Columns a statement declares, in a new table or an old one. */
function columnsIn({ statement: { node } }: LintSubject): ColumnDef[] {
  if ("CreateStmt" in node)
    return (node.CreateStmt.tableElts ?? []).flatMap((one) => ("ColumnDef" in one ? [one.ColumnDef] : []));
  if (!("AlterTableStmt" in node)) return [];
  return alterCommands(node.AlterTableStmt).flatMap(({ subtype, def }) =>
    subtype === "AT_AddColumn" && def && "ColumnDef" in def ? [def.ColumnDef] : [],
  );
}

/** Advice on the type of a column: `avoid` tells by the catalog's name, `instead` what is better. */
function typeAdvice(id: string, avoid: ReadonlySet<string>, hint: string): LintRule {
  return {
    id,
    severity: "info",
    grows: false,
    advice: true,
    hint,
    *check(subject) {
      const names = columnsIn(subject)
        .filter((column) => avoid.has(sqlTypeOf(column.typeName, subject.catalog).name))
        .map(({ colname }) => colname);
      if (names.length > 0) yield { title: `${names.join(", ")}: ${hint.charAt(0).toLowerCase()}${hint.slice(1, -1)}` };
    },
  };
}

// Length and alignment in bytes; a type of variable length aligns to four at worst.
// @see https://www.postgresql.org/docs/current/catalog-pg-type.html typlen, typalign
const fixed: Readonly<Record<string, readonly [length: number, alignment: number]>> = {
  bool: [1, 1],
  int2: [2, 2],
  int4: [4, 4],
  float4: [4, 4],
  date: [4, 4],
  int8: [8, 8],
  float8: [8, 8],
  timestamp: [8, 8],
  timestamptz: [8, 8],
  time: [8, 8],
  uuid: [16, 1],
};

/** Rules on how tables are made. */
export const tableRules: readonly LintRule[] = [
  typeAdvice("prefer-bigint", new Set(["int2", "int4"]), "Use bigint: a key that runs out is a rewrite of the table."),
  typeAdvice("prefer-text", new Set(["varchar"]), "Use text with a CHECK: a limit in the type can only grow."),
  typeAdvice("prefer-timestamptz", new Set(["timestamp"]), "Use timestamptz: a time without its zone is a guess."),
  typeAdvice("prefer-jsonb", new Set(["json"]), "Use jsonb: json cannot be indexed or compared."),
  typeAdvice("avoid-char", new Set(["bpchar"]), "Use text: char(n) is padded with blanks."),
  {
    id: "prefer-identity",
    severity: "info",
    grows: false,
    advice: true,
    hint: "Use GENERATED … AS IDENTITY: the sequence then goes with the column, rights included.",
    *check(subject) {
      const names = columnsIn(subject)
        .filter((column) => isSerial(column.typeName))
        .map(({ colname }) => colname);
      if (names.length > 0) yield { title: `${names.join(", ")} is declared serial` };
    },
  },
  {
    id: "create-table-no-key",
    severity: "info",
    grows: false,
    advice: true,
    hint: "Give it a primary key: logical replication, batches and merges need one.",
    *check({ statement: { node }, catalog, outcome }) {
      if (!("CreateStmt" in node) || node.CreateStmt.partbound || node.CreateStmt.inhRelations) return;
      const table = outcome.tables.get(catalog.qualify(node.CreateStmt.relation ?? {}));
      if (table && !table.constraints.some(({ type }) => type === "primary")) {
        yield { title: `${table.schema}.${table.name} has no primary key` };
      }
    },
  },
  {
    id: "create-table-again",
    severity: "warn",
    grows: false,
    hint: "Alter the table, or rename the old one away: its rows are gone when this has run.",
    *check({ statement: { node }, before, catalog }) {
      if (!("CreateStmt" in node)) return;
      const name = catalog.qualify(node.CreateStmt.relation ?? {});
      const dropped = before.some(
        ({ statement, effects }) =>
          "DropStmt" in statement.node &&
          statement.node.DropStmt.removeType === "OBJECT_TABLE" &&
          effects.locks.length > 0 &&
          (statement.node.DropStmt.objects ?? []).some((object) => catalog.qualify(relationOf(object)) === name),
      );
      if (dropped) yield { title: `${name} is dropped with its rows and made anew` };
    },
  },
  {
    id: "duplicate-column",
    severity: "critical",
    grows: false,
    hint: "Name each column once: the server refuses the statement.",
    *check(subject) {
      const { node } = subject.statement;
      const assigned =
        "UpdateStmt" in node
          ? (node.UpdateStmt.targetList ?? []).map((one) =>
              "ResTarget" in one && !one.ResTarget.indirection ? one.ResTarget.name : undefined,
            )
          : columnsIn(subject).map(({ colname }) => colname);
      const names = assigned.filter((name) => name !== undefined);
      const twice = new Set(names.filter((name, index) => names.indexOf(name) !== index));
      for (const name of twice) yield { title: `${name} stands twice in one statement` };
    },
  },
  {
    id: "unnamed-constraint",
    severity: "info",
    grows: false,
    advice: true,
    hint: "Name it: what drops it later must not guess.",
    *check({ statement: { node } }) {
      const unnamed = ({ conname, contype }: Constraint): boolean =>
        !conname && /CHECK|FOREIGN|UNIQUE|EXCLUSION/.test(contype ?? "");
      if (!("AlterTableStmt" in node)) return;
      for (const { def } of alterCommands(node.AlterTableStmt)) {
        if (def && "Constraint" in def && unnamed(def.Constraint))
          yield { title: "the constraint has no name of its own" };
        if (def && "ColumnDef" in def && columnConstraints(def.ColumnDef).some(unnamed)) {
          yield { title: `a constraint of ${def.ColumnDef.colname} has no name of its own` };
        }
      }
    },
  },
  {
    id: "column-alignment",
    severity: "info",
    grows: false,
    advice: true,
    hint: "Put the columns of eight bytes first, then four, two, one, then those of variable length.",
    *check(subject) {
      if (!("CreateStmt" in subject.statement.node)) return;
      const sizes = columnsIn(subject).map((column) => {
        const type = sqlTypeOf(column.typeName, subject.catalog);
        return type.array ? undefined : fixed[type.name];
      });
      const known = sizes.filter((size) => size !== undefined);
      const best = known.toSorted((a, b) => b[1] - a[1]);
      const waste = padding(sizes) - padding(best);
      if (waste >= 8)
        yield { title: `the order of the columns wastes about ${waste} bytes in every row` } satisfies RuleHit;
    },
  },
  {
    id: "create-extension",
    severity: "info",
    grows: false,
    advice: true,
    hint: "Only a trusted extension, from PostgreSQL 13, can be made without being superuser.",
    *check({ statement: { node } }) {
      if ("CreateExtensionStmt" in node)
        yield { title: `CREATE EXTENSION ${node.CreateExtensionStmt.extname} needs rights the role may lack` };
    },
  },
  {
    id: "unqualified-name",
    severity: "info",
    grows: false,
    advice: true,
    hint: "Write schema.table: the search path of the session decides otherwise.",
    *check({ statement: { node } }) {
      const relation =
        "CreateStmt" in node ? node.CreateStmt.relation : "ViewStmt" in node ? node.ViewStmt.view : undefined;
      const name = "CreateFunctionStmt" in node ? stringsOf(node.CreateFunctionStmt.funcname) : null;
      if (relation && relation.schemaname === undefined)
        yield { title: `${relation.relname} is made in whatever schema comes first` };
      if (name?.length === 1) yield { title: `${name[0]} is made in whatever schema comes first` };
    },
  },
];

/** Bytes lost before each column so that it starts at a multiple of its alignment. */
function padding(sizes: readonly (readonly [number, number] | undefined)[]): number {
  let offset = 0;
  let lost = 0;
  for (const size of sizes) {
    if (!size) {
      // Variable length: where the next one starts cannot be told; the best case is taken.
      offset = 0;
      continue;
    }
    const [length, alignment] = size;
    const gap = (alignment - (offset % alignment)) % alignment;
    lost += gap;
    offset += gap + length;
  }
  return lost;
}
