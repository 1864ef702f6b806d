import { compareFindings, type Finding, quoteIdentifier } from "@db/core";
import type { Catalog, CatalogForeignKey, CatalogTable } from "./catalog.ts";
import { tableLabel, tableSql } from "./table-name.ts";

/**
 * Looks for gaps in the schema itself: tables without a primary key, constraints that were never validated, foreign
 * keys declared twice, of another type, or half nullable, tables lost in a crash. Pure; worst first.
 */
export function checkSchema(catalog: Catalog): readonly Finding[] {
  return catalog.tables
    .filter((table) => table.kind === "table" || table.kind === "partitioned" || table.kind === "partition")
    .flatMap((table) => [
      ...missingKey(table),
      ...notValidated(table),
      ...duplicateForeignKeys(table),
      ...foreignKeyTypes(table),
      ...partlyNullable(table),
      ...unlogged(table),
    ])
    .sort(compareFindings);
}

function missingKey(table: CatalogTable): Finding[] {
  // A partition's key is its parent's.
  if (table.primaryKey.length > 0 || table.kind === "partition") return [];
  return [
    {
      id: "SCHEMA-NO-PRIMARY-KEY",
      severity: "warn",
      title: `${tableLabel(table)} has no primary key`,
      subject: tableLabel(table),
      hint: "Rows cannot be told apart, and logical replication cannot update or delete them; add a primary key.",
    },
  ];
}

function notValidated(table: CatalogTable): Finding[] {
  const names = [
    ...table.foreignKeys.filter((key) => !key.validated).map((key) => key.name),
    ...table.checks.filter((check) => !check.validated).map((check) => check.name),
  ];
  return names.map((name) => ({
    id: "SCHEMA-CONSTRAINT-NOT-VALIDATED",
    severity: "warn",
    title: `constraint ${name} of ${tableLabel(table)} was never validated`,
    subject: `${tableLabel(table)}.${name}`,
    hint: "Old rows may break it, and the planner does not trust it; mend them, then validate.",
    command: `alter table ${tableSql(table)} validate constraint ${quoteIdentifier(name)}`,
  }));
}

function duplicateForeignKeys(table: CatalogTable): Finding[] {
  const same = Map.groupBy(table.foreignKeys, (key) =>
    JSON.stringify([key.columns, key.referencesSchema, key.referencesTable, key.referencesColumns]),
  );
  return [...same.values()]
    .filter((keys) => keys.length > 1)
    .map((keys) => ({
      id: "SCHEMA-DUPLICATE-FOREIGN-KEY",
      severity: "info",
      title: `${tableLabel(table)} declares one reference ${keys.length} times: ${keys.map((k) => k.name).join(", ")}`,
      subject: tableLabel(table),
      hint: "Every write is checked once per copy; keep one.",
      command: `alter table ${tableSql(table)} drop constraint ${quoteIdentifier(keys.at(-1)!.name)}`,
    }));
}

function foreignKeyTypes(table: CatalogTable): Finding[] {
  return table.foreignKeys.flatMap((key) =>
    key.columns.flatMap((column, index) => {
      const [own, other] = [key.columnTypes[index], key.referencesTypes[index]];
      if (own === other) return [];
      return [
        {
          id: "SCHEMA-FOREIGN-KEY-TYPE",
          severity: "warn" as const,
          title: `${tableLabel(table)}.${column} is ${own}, what it refers to is ${other}`,
          subject: `${tableLabel(table)}.${key.name}`,
          hint: "The narrower side runs out first, and a cast may keep an index from serving joins; align the types.",
        },
      ];
    }),
  );
}

function partlyNullable(table: CatalogTable): Finding[] {
  const nullable = (key: CatalogForeignKey): number =>
    key.columns.filter((name) => !table.columns.find((column) => column.name === name)?.notNull).length;
  return table.foreignKeys
    .filter((key) => key.columns.length > 1 && nullable(key) > 0)
    .map((key) => ({
      id: "SCHEMA-NULLABLE-COMPOSITE-KEY",
      severity: "info",
      title: `${key.name} of ${tableLabel(table)} is not checked when one of its columns is null`,
      subject: `${tableLabel(table)}.${key.name}`,
      hint: "Declare the columns not null, or the constraint MATCH FULL.",
    }));
}

function unlogged(table: CatalogTable): Finding[] {
  if (!table.unlogged) return [];
  return [
    {
      id: "SCHEMA-UNLOGGED-TABLE",
      severity: "info",
      title: `${tableLabel(table)} is unlogged`,
      subject: tableLabel(table),
      hint: "A crash empties it, and standbys and physical backups do not hold it; set it logged if it must survive.",
      command: `alter table ${tableSql(table)} set logged`,
    },
  ];
}
