import { quoteIdentifier } from "@db/core";
import type { RelationFact } from "../facts.ts";
import type { Check } from "./check.ts";

const qualified = ({ schema, name }: RelationFact): string => `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;

/** Tables without a primary key: rows cannot be told apart, logical replication cannot update them. */
export const primaryKeys: Check = ({ server }) =>
  (server.facts.catalog?.tablesWithoutPrimaryKey ?? []).map((table) => ({
    id: "PG-NO-PRIMARY-KEY",
    severity: "warn",
    title: `table ${table.schema}.${table.name} in ${table.database} has no primary key`,
    subject: `${table.schema}.${table.name}`,
    observed: table.rows,
    unit: "rows",
    hint:
      "Its rows cannot be told apart, and logical replication cannot update or delete them. " +
      "The command rewrites the table under an exclusive lock: choose the hour, or use an existing column.",
    command: `alter table ${qualified(table)} add column id bigint generated always as identity primary key;`,
    docs: "https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-PRIMARY-KEYS",
  }));

/** Constraints added NOT VALID and never validated: old rows may break them. */
export const constraints: Check = ({ server }) =>
  (server.facts.catalog?.unvalidatedConstraints ?? []).map((constraint) => {
    const dot = constraint.name.indexOf(".");
    const table = { ...constraint, name: constraint.name.slice(0, dot) };
    const own = quoteIdentifier(constraint.name.slice(dot + 1));
    return {
      id: "PG-CONSTRAINT-NOT-VALID",
      severity: "info",
      title: `constraint ${constraint.name} in ${constraint.database} was never validated`,
      subject: `${constraint.schema}.${constraint.name}`,
      hint: "Rows from before it may break it, and the planner cannot use it; validating takes no exclusive lock.",
      command: `alter table ${qualified(table)} validate constraint ${own};`,
    };
  });
