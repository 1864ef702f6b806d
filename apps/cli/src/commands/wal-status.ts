import { type Finding, formatBytes, formatDuration } from "@db/core";
import type { WalArchiveState } from "@db/orchestrator";
import { type CommandResult, type Input, text } from "../command.ts";
import type { Context } from "../context.ts";
import { findingsText } from "../findings-text.ts";
import { textTable } from "../text-table.ts";
import { openWithoutDatabase } from "../without-database.ts";

/** `db wal status` */
export async function status(context: Context, input: Input): Promise<CommandResult> {
  const clusters = await statesOf(context, input);
  const findings = clusters.flatMap((cluster) => cluster.findings);
  const rows = clusters.map(({ systemIdentifier, segments, firstSegment, lastSegment, storedBytes, position }) => [
    systemIdentifier,
    String(segments),
    firstSegment ?? "",
    lastSegment ?? "",
    formatBytes(storedBytes),
    position?.lsn ?? "",
    position === null ? "" : `${formatDuration(Math.max(0, Date.now() - Date.parse(position.coveredUntil)))} ago`,
  ]);
  const head = ["cluster", "segments", "first", "last", "stored", "received to", "covered until"];
  const table = rows.length === 0 ? "no WAL archive in this repository yet" : textTable(head, rows);
  return {
    data: { clusters },
    text: [table, findingsText(findings, context.terminal)].filter((part) => part !== "").join("\n"),
    findings,
    gate: true,
    ...(rows.length === 0 ? { next: ["db wal receive"] } : {}),
  };
}

/** `db wal gaps` */
export async function gaps(context: Context, input: Input): Promise<CommandResult> {
  const clusters = await statesOf(context, input);
  const findings = clusters.flatMap((cluster) => cluster.findings.filter(isLoss));
  const lost = clusters.flatMap(({ systemIdentifier, gaps: found }) =>
    found.map((gap) => ({ systemIdentifier, ...gap })),
  );
  const rows = lost.map(({ systemIdentifier, timeline, fromLsn, toLsn, detectedAt, reason }) => [
    systemIdentifier,
    String(timeline),
    fromLsn,
    toLsn,
    detectedAt.slice(0, 19).replace("T", " "),
    findings.some(({ subject }) => subject === fromLsn) ? "open" : "a full backup stands behind it",
    reason,
  ]);
  const head = ["cluster", "timeline", "from", "to", "seen (UTC)", "state", "reason"];
  const table = rows.length === 0 ? "no WAL was lost" : textTable(head, rows);
  return {
    data: { gaps: lost },
    text: [table, findingsText(findings, context.terminal)].filter((part) => part !== "").join("\n"),
    findings,
    gate: true,
  };
}

async function statesOf(context: Context, input: Input): Promise<readonly WalArchiveState[]> {
  const { wal } = await openWithoutDatabase(context);
  return wal.status({ repository: text(input, "repo"), signal: context.signal });
}

function isLoss({ id }: Finding): boolean {
  return id === "WAL-GAP" || id === "WAL-HOLE";
}
