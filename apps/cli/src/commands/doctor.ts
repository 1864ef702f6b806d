import { access, constants } from "node:fs/promises";
import { adviseOnConnection, type Finding, messageOf, quoteIdentifier, redactUrls, toDatabase } from "@db/core";
import type { CommandResult } from "../command.ts";
import type { Context } from "../context.ts";
import { exitCode } from "../exit-code.ts";
import { installedBinaries } from "../local-topology.ts";

type Row = readonly [
  what: string,
  verdict: "ok" | "note" | "problem",
  detail: string,
  mend?: string | undefined,
  hint?: string | undefined,
];

const rightsSql = /* sql */ `
  select rolname as role, rolsuper as super, rolreplication as replication,
         pg_catalog.pg_has_role(current_user, 'pg_monitor', 'usage') as monitor,
         pg_catalog.has_database_privilege(current_database(), 'create') as "mayCreate",
         (select count(*)::int from pg_catalog.pg_extension where extname = 'pg_stat_statements') as statements,
         current_setting('wal_level') as "walLevel",
         current_setting('server_version') as version,
         current_setting('data_checksums') as checksums,
         current_setting('server_version_num')::int as "versionNum",
         pg_catalog.pg_is_in_recovery() as standby,
         current_database() as database
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
  readonly versionNum: number;
  readonly standby: boolean;
  readonly database: string;
}

/** `db doctor` */
export async function doctor(context: Context): Promise<CommandResult> {
  const rows: Row[] = [["Node", "ok", process.versions.node]];
  rows.push(...(await binaryRows(context)));
  rows.push(await folderRow(context));
  const database = await databaseRows(context);
  rows.push(...database);
  // Only a database that answered is followed by what the role may do there.
  const unreachable = database.length === 1 && database[0]![1] === "problem";
  const findings: Finding[] = rows
    .filter(([, verdict]) => verdict !== "ok")
    .map(([what, verdict, detail, mend, hint]) => ({
      id: `DOCTOR-${what.toUpperCase().replaceAll(/[^A-Z]+/g, "-")}`,
      severity: verdict === "problem" ? "warn" : "info",
      title: `${what}: ${detail}`,
      ...(hint === undefined ? {} : { hint }),
      ...(mend === undefined ? {} : { command: mend }),
    }));
  const words = {
    ok: context.terminal.paint("green", "ok     "),
    note: context.terminal.paint("dim", "note   "),
    problem: context.terminal.paint("yellow", "problem"),
  };
  return {
    data: rows.map(([what, verdict, detail, mend, hint]) => ({
      what,
      verdict,
      detail,
      hint: hint ?? null,
      mend: mend ?? null,
    })),
    text: rows
      .map(
        ([what, verdict, detail, mend, hint]) =>
          `${words[verdict]}  ${what.padEnd(20)} ${detail}${hint === undefined ? "" : `\n         ${hint}`}${mend === undefined ? "" : `\n         $ ${mend}`}`,
      )
      .join("\n"),
    findings,
    gate: true,
    ...(unreachable ? { exitCode: exitCode.cannotConnect } : {}),
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
    const advice = adviseOnConnection(error);
    return [["Database", "problem", redactUrls(advice?.reason ?? messageOf(error)), undefined, advice?.hint]];
  }
}

function rights(row: Rights): readonly Row[] {
  const role = quoteIdentifier(row.role);
  const may = (what: string, yes: boolean, mend: string, need: string): Row =>
    yes ? [what, "ok", `${row.role} may`] : [what, "note", `${row.role} may not: ${need}`, mend];
  return [
    row.versionNum < 120_000
      ? ["Database", "problem", `PostgreSQL ${row.version}: 12 and later are supported`]
      : row.standby
        ? ["Database", "note", `PostgreSQL ${row.version} answers, in recovery: it can be read but not written`]
        : ["Database", "ok", `PostgreSQL ${row.version} answers`],
    may("Physical backups", row.replication || row.super, `alter role ${role} replication`, "backups need REPLICATION"),
    may("Monitoring", row.monitor || row.super, `grant pg_monitor to ${role}`, "other sessions' queries stay hidden"),
    may(
      "Migrations",
      row.mayCreate,
      `grant create on database ${quoteIdentifier(row.database)} to ${role}`,
      "migrations create objects",
    ),
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
