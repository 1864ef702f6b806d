/** Everything that parses and judges SQL. Loaded on first use: a start with nothing pending needs none of it. */
export { lint } from "./lint/lint.ts";
export { loadParser } from "./parser.ts";
export { parseMigration, plannedMigration } from "./planned-migration.ts";
