import { columnConstraints } from "../sql-type.ts";
import type { LintRule, LintSubject } from "./rule.ts";

const longest = 63;
// Cheap, and passes everything that could be one; a character may take up to three bytes.
const longName = /\w{64}|"[^"]{64}|[\u0080-\uffff]/;

/** Rules on names. */
export const namingRules: readonly LintRule[] = [
  {
    id: "identifier-too-long",
    severity: "warn",
    grows: false,
    hint: "Shorten it to 63 bytes: the server cuts the rest off, and two names may become one.",
    *check({ statement: { sql } }) {
      if (!longName.test(sql)) return;
      for (const name of new Set(identifiersIn(sql))) {
        if (Buffer.byteLength(name) > longest) yield { title: `the name ${name} is cut off after 63 bytes` };
      }
    },
  },
  {
    id: "naming",
    severity: "info",
    grows: false,
    advice: true,
    hint: "Use lower case, digits and underscores: any other name must be quoted for ever.",
    *check(subject) {
      for (const name of new Set(newNames(subject))) {
        if (!/^[a-z_][a-z0-9_]*$/.test(name)) yield { title: `the name "${name}" must be quoted wherever it is used` };
      }
    },
  },
];

/** Names in the text, which the parser has already cut; strings and comments left out. */
function* identifiersIn(sql: string): Generator<string> {
  const token =
    /--[^\n]*|\/\*[\s\S]*?\*\/|(\$\w*\$)[\s\S]*?\1|'(?:[^']|'')*'|"((?:[^"]|"")+)"|([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)/g;
  for (const [, , quoted, plain] of sql.matchAll(token)) {
    const name = quoted?.replaceAll('""', '"') ?? plain;
    if (name !== undefined) yield name;
  }
}

function newNames({ statement: { node } }: LintSubject): string[] {
  const names: (string | undefined)[] = [];
  if ("CreateStmt" in node) {
    names.push(node.CreateStmt.relation?.relname);
    for (const one of node.CreateStmt.tableElts ?? []) {
      if (!("ColumnDef" in one)) continue;
      names.push(one.ColumnDef.colname, ...columnConstraints(one.ColumnDef).map(({ conname }) => conname));
    }
  } else if ("IndexStmt" in node) names.push(node.IndexStmt.idxname);
  else if ("ViewStmt" in node) names.push(node.ViewStmt.view?.relname);
  else if ("RenameStmt" in node) names.push(node.RenameStmt.newname);
  else if ("AlterTableStmt" in node) {
    for (const one of node.AlterTableStmt.cmds ?? []) {
      const def = "AlterTableCmd" in one ? one.AlterTableCmd.def : undefined;
      if (def && "ColumnDef" in def && "AlterTableCmd" in one && one.AlterTableCmd.subtype === "AT_AddColumn")
        names.push(def.ColumnDef.colname);
    }
  }
  return names.filter((name) => name !== undefined);
}
