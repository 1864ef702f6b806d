import { withoutLiterals } from "./sql-text.ts";

/** Words without one of which nothing can change its session: most statements are done after one look. */
const suspicious =
  /\b(?:set|set_config|listen|prepare|declare|temp|temporary|pg_temp|begin|start|load|reset|discard|deallocate|pg_(?:try_)?advisory_lock(?:_shared)?)\b/i;

const changes: readonly (readonly [pattern: RegExp, what: string])[] = [
  [/^set\s+(?!local\b|transaction\b|constraints\b)/i, "SET"],
  [/^listen\b/i, "LISTEN"],
  [/^load\b/i, "LOAD"],
  // They undo what was set when the connection was made, and drop what the pool has prepared on it.
  [/^reset\b/i, "RESET"],
  [/^discard\b/i, "DISCARD"],
  [/^deallocate\b/i, "DEALLOCATE"],
  [/^prepare\s+(?!transaction\b)/i, "PREPARE"],
  [/^declare\b[\s\S]*\bwith\s+hold\b/i, "DECLARE … WITH HOLD"],
  [/^create\s+(?:or\s+replace\s+)?(?:(?:local|global)\s+)?temp(?:orary)?\b/i, "CREATE TEMPORARY"],
  [/\binto\s+(?:temp|temporary)\b/i, "INTO TEMPORARY"],
  [/^create\s+\w+\s+(?:if\s+not\s+exists\s+)?"?pg_temp"?\s*\./i, "CREATE in pg_temp"],
  [/\bset_config\s*\((?![^()]*,\s*true\s*\))/i, "set_config(…, false)"],
  [/\bpg_(?:try_)?advisory_lock(?:_shared)?\s*\(/i, "pg_advisory_lock"],
];

/**
 * What a statement leaves behind in the session it runs in, in SQL's word for it; undefined when nothing is seen. What
 * functions of the database do inside cannot be seen.
 */
export function changeOfSession(sql: string): string | undefined {
  if (!suspicious.test(sql)) return undefined;
  let open = false;
  for (const part of withoutLiterals(sql).split(";")) {
    const statement = part.trim();
    const found = changes.find(([pattern]) => pattern.test(statement));
    if (found) return found[1];
    if (/^(?:begin|start\s+transaction)\b/i.test(statement)) open = true;
    else if (/^(?:commit|end|rollback(?!\s+to\b)|abort)\b/i.test(statement)) open = false;
  }
  return open ? "BEGIN" : undefined;
}
