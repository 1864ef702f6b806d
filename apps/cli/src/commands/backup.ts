import { formatBytes, formatDuration, parseBytes } from "@db/core";
import { type BackupInfo, isDumpLabel } from "@db/orchestrator";
import { type CommandResult, type Input, text, toggle } from "../command.ts";
import type { Context } from "../context.ts";
import { UsageError } from "../errors.ts";
import { findingsText } from "../findings-text.ts";
import { textTable } from "../text-table.ts";
import { openWithoutDatabase } from "../without-database.ts";
import { runDump, showDump } from "./dump.ts";

/** `db backup run` */
export async function runBackup(context: Context, input: Input): Promise<CommandResult> {
  if (toggle(input, "logical") === true) return runDump(context, input);
  const { backups } = await context.orchestrator();
  const repository = text(input, "repo") ?? backups.location;
  const changes = [{ kind: "create_backup", object: repository }];
  const how = runOptions(input);
  if (context.dryRun) {
    return { data: { repository, ...how }, text: `would take a full backup into ${repository}`, changes };
  }
  const report = await backups.run({ ...call(context, input), ...how });
  const lines = [
    `${report.label}: ${formatBytes(report.bytes)} in ${report.files.toLocaleString("en")} files stored as ${formatBytes(report.storedBytes)} in ${formatDuration(report.durationMs)}`,
    report.encrypted
      ? "encrypted with AES-256-GCM"
      : "not encrypted: set BACKUP_ENCRYPTION_KEY to encrypt the next repository",
    findingsText(report.findings, context.terminal),
  ];
  return {
    data: report,
    text: lines.filter((line) => line !== "").join("\n"),
    changes,
    findings: report.findings,
    gate: true,
    next: ["db restore drill"],
  };
}

/** `db backup list` */
export async function list(context: Context, input: Input): Promise<CommandResult> {
  const { backups, dumps } = await openWithoutDatabase(context);
  const catalog = await backups.catalog(call(context, input));
  const logical = await dumps.catalog(call(context, input));
  const rows = catalog.backups.map((backup) => [
    backup.label,
    backup.type,
    backup.status,
    backup.stoppedAt.slice(0, 19).replace("T", " "),
    formatBytes(backup.bytes),
    formatBytes(backup.storedBytes),
    backup.encrypted ? "yes" : "no",
    backup.verifiedAt?.slice(0, 10) ?? "never",
    markText(backup.mark),
  ]);
  for (const dump of logical.dumps) {
    const taken = dump.startedAt.slice(0, 19).replace("T", " ");
    const sizes = [formatBytes(dump.bytes), formatBytes(dump.storedBytes)];
    rows.push([
      dump.label,
      `dump of ${dump.database}`,
      "complete",
      taken,
      ...sizes,
      dump.encrypted ? "yes" : "no",
      dump.verifiedAt?.slice(0, 10) ?? "never",
      markText(dump.mark),
    ]);
  }
  const table =
    rows.length === 0
      ? "no backups yet"
      : textTable(["backup", "type", "status", "taken (UTC)", "data", "stored", "encrypted", "verified", "mark"], rows);
  const suspect = catalog.backups
    .filter(({ status }) => status === "suspect")
    .map(
      ({ label }) => `${label}: the server found broken pages in it; a restore takes a good backup where there is one`,
    );
  const unusable = [...catalog.unusable, ...logical.unusable].map(
    ({ label, reason }) => `${label}: ${reason}, not restorable`,
  );
  return {
    data: { ...catalog, dumps: logical.dumps, unusable: [...catalog.unusable, ...logical.unusable] },
    text: [table, ...suspect, ...unusable].join("\n"),
    ...(rows.length === 0 ? { next: ["db backup run"] } : {}),
  };
}

/** `held`, `kept`, `kept until 2030-01-01`, or nothing. */
function markText(mark: BackupInfo["mark"]): string {
  if (!mark) return "";
  if (mark.kind === "hold") return "held";
  return mark.until === null ? "kept" : `kept until ${mark.until.slice(0, 10)}`;
}

/** `db backup show <label>` */
export async function show(context: Context, input: Input): Promise<CommandResult> {
  const label = input.arguments["label"]!;
  if (isDumpLabel(label)) return showDump(context, input, label);
  const { backups } = await openWithoutDatabase(context);
  const backup = await backups.show(label, call(context, input));
  const { mark } = backup;
  const rows = [
    ["backup", `${backup.label}, ${backup.type}, ${backup.status}`],
    ["cluster", `${backup.systemIdentifier}, PostgreSQL ${Math.floor(backup.serverVersion / 10_000)}`],
    ["taken (UTC)", `${backup.startedAt.slice(0, 19)} to ${backup.stoppedAt.slice(0, 19)}`.replaceAll("T", " ")],
    ["WAL", `${backup.startLsn} to ${backup.stopLsn} on timeline ${backup.timeline}`],
    ["data", `${formatBytes(backup.bytes)} in ${backup.files.toLocaleString("en")} files`],
    ["stored", `${formatBytes(backup.storedBytes)}, ${backup.encrypted ? "encrypted" : "not encrypted"}`],
    ["databases", backup.databases.join(", ")],
    ["tablespaces", backup.tablespaces.map(({ oid, location }) => `${oid} ${location}`).join(", ") || "none"],
    ["taken from", backup.fromStandby ? "a standby" : "the primary"],
    ["verified", backup.verifiedAt ?? "never"],
    ["mark", mark ? `${mark.kind}${mark.until === null ? "" : ` until ${mark.until}`} ${mark.reason}`.trim() : "none"],
  ] as const;
  return {
    data: backup,
    text: rows.map(([name, value]) => `${name.padEnd(12)} ${value}`).join("\n"),
    next: [`db backup verify ${backup.label}`, `db restore plan --label ${backup.label} --to <folder>`],
  };
}

/** `db backup verify [label]` */
export async function verify(context: Context, input: Input): Promise<CommandResult> {
  const { backups, dumps, wal } = await openWithoutDatabase(context);
  const depth = text(input, "depth") as "listing" | "checksums" | "deep" | undefined;
  const label = input.arguments["label"];
  const began = performance.now();
  const options = { ...call(context, input), depth };
  const physical = label !== undefined && isDumpLabel(label) ? undefined : await backups.verify({ ...options, label });
  const { dumps: known } = await dumps.catalog(call(context, input));
  const chosen = label === undefined ? known.map((dump) => dump.label) : isDumpLabel(label) ? [label] : [];
  const logical = [];
  for (const each of chosen) logical.push(await dumps.verify(each, options));
  // The archive belongs to all backups: it is read when all are.
  const archives = label === undefined && depth !== "listing" ? await wal.verify(call(context, input)) : [];
  const others = [...logical, ...archives];
  const findings = [...(physical?.findings ?? []), ...others.flatMap((report) => report.findings)];
  const ok = (physical?.ok ?? true) && others.every((report) => report.ok);
  const bytes = (physical?.bytes ?? 0) + others.reduce((sum, report) => sum + report.bytes, 0);
  const count = (physical?.backups.length ?? 0) + logical.length;
  const durationMs = Math.round(performance.now() - began);
  const verdict = ok ? "all of it is as it was written" : "damaged";
  const walFiles = archives.reduce((sum, { files }) => sum + files, 0);
  const wals = walFiles === 0 ? "" : `, ${walFiles} files of WAL`;
  const summary = `${count} ${count === 1 ? "backup" : "backups"}${wals}, ${formatBytes(bytes)} read in ${formatDuration(durationMs)}: ${verdict}`;
  return {
    data: {
      depth: depth ?? "checksums",
      ok,
      backups: physical?.backups ?? [],
      dumps: logical,
      wal: archives.map(({ systemIdentifier, ok: whole, files, bytes: read }) => ({
        systemIdentifier,
        ok: whole,
        files,
        bytes: read,
      })),
      bytes,
      durationMs,
      findings,
    },
    text: [summary, findingsText(findings, context.terminal)].filter((part) => part !== "").join("\n"),
    findings,
    gate: true,
  };
}

/** The flags of one backup; undefined leaves it as configured. */
function runOptions(input: Input) {
  const maxRate = text(input, "max-rate");
  return {
    compression: compressionOf(input),
    checkpoint: text(input, "checkpoint") as "fast" | "spread" | undefined,
    maxRateBytes: maxRate === undefined ? undefined : parseBytes(maxRate),
  };
}

function compressionOf(input: Input) {
  const given = text(input, "compression");
  const by = toggle(input, "server-compression") === true ? ("server" as const) : undefined;
  if (given === undefined) return by === undefined ? undefined : { by };
  const [, algorithm, level] = /^(zstd|gzip|none)(?::(\d+))?$/.exec(given) ?? [];
  if (algorithm === undefined) {
    throw new UsageError(`--compression is "${given}"`, { hint: "Write zstd, zstd:3, gzip:6 or none." });
  }
  return {
    algorithm: algorithm as "zstd" | "gzip" | "none",
    ...(level === undefined ? {} : { level: Number(level) }),
    ...(by === undefined ? {} : { by }),
  };
}

function call(context: Context, input: Input) {
  return { repository: text(input, "repo"), onProgress: context.onProgress, signal: context.signal };
}
