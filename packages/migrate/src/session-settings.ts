import type { Queryable } from "@db/core";
import type { Node } from "./parser.ts";
import { walk } from "./volatility.ts";

/** Settings that statements change, by how long the change would last. */
export interface ChangedSettings {
  /** Beyond their transaction. */
  readonly session: readonly string[];
  /** To its end, which is after the history row is written. */
  readonly local: readonly string[];
}

// What a block or a program may change without saying so, and a history row cannot do with.
const guarded = ["role", "search_path", "statement_timeout", "lock_timeout"];

/** Names of the settings that statements change, or, where that cannot be told, may change. */
export function settingsChangedBy(nodes: readonly Node[]): ChangedSettings {
  const session = new Set<string>();
  const local = new Set<string>();
  for (const node of nodes) {
    if ("VariableSetStmt" in node) {
      const { name = "", is_local: isLocal } = node.VariableSetStmt;
      for (const one of settingsNamed(name.toLowerCase())) (isLocal ? local : session).add(one);
    } else if ("DoStmt" in node || "CallStmt" in node) {
      for (const name of guarded) local.add(name);
    } else if ("SelectStmt" in node) {
      walk(node, (kind, fields) => {
        if (kind !== "FuncCall") return;
        const { funcname, args } = fields as {
          funcname?: { String?: { sval?: string } }[];
          args?: { A_Const?: { sval?: { sval?: string }; boolval?: { boolval?: boolean } } }[];
        };
        const setting = args?.[0]?.A_Const?.sval?.sval;
        if (funcname?.at(-1)?.String?.sval !== "set_config" || !setting) return;
        const isLocal = args?.[2]?.A_Const?.boolval?.boolval === true;
        (isLocal ? local : session).add(setting.toLowerCase());
      });
    }
  }
  return { session: [...session], local: [...local].filter((name) => !session.has(name)) };
}

/** What a program may change. */
export const programSettings: ChangedSettings = Object.freeze({ session: [], local: guarded });

function settingsNamed(name: string): readonly string[] {
  if (name === "session characteristics") {
    return ["isolation", "read_only", "deferrable"].map((mode) => `default_transaction_${mode}`);
  }
  // Of this transaction alone, and gone with it.
  return name === "" || name.startsWith("transaction") ? [] : [name];
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
