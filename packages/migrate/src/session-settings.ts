import type { Queryable } from "@db/core";
import type { Node } from "./parser.ts";
import { walk } from "./volatility.ts";

/** Names of the settings that statements change for the session beyond their transaction. */
export function settingsChangedBy(nodes: readonly Node[]): string[] {
  const names = new Set<string>();
  for (const node of nodes) {
    if ("VariableSetStmt" in node) {
      const { name, is_local: isLocal } = node.VariableSetStmt;
      if (name && !isLocal) names.add(name.toLowerCase());
    } else if ("SelectStmt" in node) {
      walk(node, (kind, fields) => {
        if (kind !== "FuncCall") return;
        const { funcname, args } = fields as {
          funcname?: { String?: { sval?: string } }[];
          args?: { A_Const?: { sval?: { sval?: string } } }[];
        };
        const setting = args?.[0]?.A_Const?.sval?.sval;
        if (funcname?.at(-1)?.String?.sval === "set_config" && setting) names.add(setting.toLowerCase());
      });
    }
  }
  return [...names];
}

/** The values of settings, to give back later; an unset one is the empty string. */
export async function readSettings(session: Queryable, names: readonly string[]): Promise<Record<string, string>> {
  if (names.length === 0) return {};
  const { rows } = await session.query<{ name: string; value: string | null }>(
    "select name, current_setting(name, true) as value from json_array_elements_text($1::json) as name",
    [JSON.stringify(names)],
  );
  return Object.fromEntries(rows.map(({ name, value }) => [name, value ?? ""]));
}

/** Sets settings: for the transaction when `local`, else for the session. */
export async function writeSettings(
  session: Queryable,
  settings: Readonly<Record<string, string>>,
  scope: "transaction" | "session",
): Promise<void> {
  if (Object.keys(settings).length === 0) return;
  await session.query("select set_config(key, value, $2) from json_each_text($1::json)", [
    JSON.stringify(settings),
    scope === "transaction",
  ]);
}

/** Time-outs as PostgreSQL's settings; null is no limit. */
export function timeoutSettings(
  lockTimeoutMs: number | null,
  statementTimeoutMs: number | null,
): Record<string, string> {
  return { lock_timeout: `${lockTimeoutMs ?? 0}ms`, statement_timeout: `${statementTimeoutMs ?? 0}ms` };
}
