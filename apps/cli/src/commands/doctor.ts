import { access, constants } from "node:fs/promises";
import { type Finding, messageOf, redactUrls, toDatabase } from "@db/core";
import type { CommandResult } from "../command.ts";
import type { Context } from "../context.ts";
import { installedBinaries } from "../local-topology.ts";

type Row = readonly [what: string, verdict: "ok" | "note" | "problem", detail: string, mend?: string];

const rightsSql = /* sql */ `
  select rolname as role, rolsuper as super, rolreplication as replication,
         pg_catalog.pg_has_role(current_user, 'pg_monitor', 'usage') as monitor,
         pg_catalog.has_database_privilege(current_database(), 'create') as "mayCreate",
         (select count(*)::int from pg_catalog.pg_extension where extname = 'pg_stat_statements') as statements,
         current_setting('wal_level') as "walLevel",
         current_setting('server_version') as version,
         current_setting('data_checksums') as checksums
    from pg_catalog.pg_roles where rolname = current_user`;

interface Rights {
  readonly role: string;
  readonly super: boolean;
  readonly replication: boolean;
  readonly monitor: boolean;
  readonly mayCreate: boolean;
  readonly statements: number;
  readonly walLevel: string;
  readonly version: string;
  readonly checksums: string;
}

/** `db doctor` */
export async function doctor(context: Context): Promise<CommandResult> {
  const rows: Row[] = [["Node", "ok", process.versions.node]];
  rows.push(...(await binaryRows(context)));
  rows.push(await folderRow(context));
  rows.push(...(await databaseRows(context)));
  const findings: Finding[] = rows
    .filter(([, verdict]) => verdict !== "ok")
    .map(([what, verdict, detail, mend]) => ({
      id: `DOCTOR-${what.toUpperCase().replaceAll(/[^A-Z]+/g, "-")}`,
      severity: verdict === "problem" ? "warn" : "info",
      title: `${what}: ${detail}`,
      ...(mend === undefined ? {} : { command: mend }),
    }));
  const words = {
    ok: context.terminal.paint("green", "ok     "),
    note: context.terminal.paint("dim", "note   "),
    problem: context.terminal.paint("yellow", "problem"),
  };
  return {
    data: rows.map(([what, verdict, detail, mend]) => ({ what, verdict, detail, mend: mend ?? null })),
    text: rows
      .map(
        ([what, verdict, detail, mend]) =>
          `${words[verdict]}  ${what.padEnd(20)} ${detail}${mend === undefined ? "" : `\n         $ ${mend}`}`,
      )
      .join("\n"),
    findings,
    gate: true,
  };
}

async function binaryRows(context: Context): Promise<readonly Row[]> {
  const found = await installedBinaries(context);
  const usable = found.filter(({ server, problem }) => server && problem === undefined);
  const tools = new Set(found.flatMap((binaries) => binaries.tools));
  const list = found.map(
    ({ version, source, server, problem, tools: each }) =>
      `${version || "unknown"} from ${source}${problem === undefined ? "" : ` (${problem})`}${server ? "" : " (no server)"}${each.length > 0 ? ` with ${each.length} client tools` : ""}`,
  );
  return [
    usable.length > 0
      ? ["PostgreSQL here", "ok", list.join("; ")]
      : ["PostgreSQL here", "note", list.join("; ") || "none found", "db dev --pg-version 18"],
    tools.has("pg_dump")
      ? ["pg_dump", "ok", "found"]
      : ["pg_dump", "note", "not found: logical dumps need a client at least as new as the server"],
  ];
}

async function folderRow(context: Context): Promise<Row> {
  try {
    await access(context.cwd, constants.W_OK);
    return ["This folder", "ok", "can be written"];
  } catch {
    return ["This folder", "problem", `${context.cwd} cannot be written`];
  }
}

async function databaseRows(context: Context): Promise<readonly Row[]> {
  const { config } = await context.config({ requireConnection: false });
  if (!config.connection) return [["Database", "note", "none configured", "db dev"]];
  try {
    const orchestrator = await context.orchestrator({ readOnly: true });
    const { rows } = await toDatabase(orchestrator.pool).query<Rights>(rightsSql);
    return rights(rows[0]!);
  } catch (error) {
    return [["Database", "problem", redactUrls(messageOf(error))]];
  }
}

function rights(row: Rights): readonly Row[] {
  const role = `"${row.role.replaceAll('"', '""')}"`;
  const may = (what: string, yes: boolean, mend: string, need: string): Row =>
    yes ? [what, "ok", `${row.role} may`] : [what, "note", `${row.role} may not: ${need}`, mend];
  return [
    ["Database", "ok", `PostgreSQL ${row.version} answers`],
    may("Physical backups", row.replication || row.super, `alter role ${role} replication`, "backups need REPLICATION"),
    may("Monitoring", row.monitor || row.super, `grant pg_monitor to ${role}`, "other sessions' queries stay hidden"),
    may("Migrations", row.mayCreate, `grant create on database current to ${role}`, "migrations create objects"),
    row.statements > 0
      ? ["Statement statistics", "ok", "pg_stat_statements is there"]
      : [
          "Statement statistics",
          "note",
          "pg_stat_statements is not installed here",
          "create extension pg_stat_statements",
        ],
    row.walLevel === "minimal"
      ? ["WAL level", "problem", "minimal: neither backups nor replicas work", "alter system set wal_level = replica"]
      : ["WAL level", "ok", row.walLevel],
    row.checksums === "on"
      ? ["Data checksums", "ok", "on"]
      : [
          "Data checksums",
          "note",
          "off: silent damage goes unnoticed; pg_checksums --enable turns them on while the server is stopped",
        ],
  ];
}
