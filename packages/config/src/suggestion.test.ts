import { expect, test } from "vitest";
import { variableNames } from "./settings.ts";
import { suggest } from "./suggestion.ts";

test.each([
  ["DB_CONECTION_LIMIT", "DB_CONNECTION_LIMIT"],
  ["DB_MAX_POOL", "DB_POOL_MAX"],
  ["BACKUP_RETENTION_DAY", "BACKUP_RETENTION_DAYS"],
  ["DB_PORTS", "DB_PORT"],
  ["DB_SLOW_QEURY_THRESHOLD", "DB_SLOW_QUERY_THRESHOLD"],
  ["db_host", "DB_HOST"],
  ["DB_SOMETHING_ELSE_ENTIRELY", undefined],
])("for %s suggests %s", (word, meant) => {
  expect(suggest(word, variableNames)).toBe(meant);
});
