import type { ForeignMatch, ForeignMatcher } from "./adopt/foreign-matcher.ts";
import type { DrizzleHistory } from "./drizzle-history.ts";
import { UnknownMigrationError } from "./errors.ts";
import type { MigrationFinding } from "./finding.ts";
import { compareVersions, type MigrationFolder } from "./folder.ts";
import type { HistoryEntry } from "./history.ts";
import { findChainBreak } from "./history-chain.ts";
import type { MigrationFile } from "./migration-file.ts";
import type { FindingPolicy } from "./options.ts";

/**
 * Where a migration stands, folder and history held side by side. `changed`: applied, and its file edited since.
 * `missing`: applied, without a file. `interrupted`: begun outside a transaction and not ended; `running` instead where a
 * status sees a runner at work. `online`: the same of an online migration, which goes on with its next phase. `outdated`: a repeatable to run again.
 */
export type MigrationState =
  | "applied"
  | "pending"
  | "changed"
  | "missing"
  | "out-of-order"
  | "failed"
  | "interrupted"
  | "running"
  | "online"
  | "reverted"
  | "outdated";

/** One migration of the folder, the history or both. */
export interface ComparedMigration {
  readonly id: string;
  readonly state: MigrationState;
  readonly file: MigrationFile | null;
  readonly entry: HistoryEntry | null;
  /** Applied by another tool and not yet in the history: the time is that tool's. */
  readonly adopted: ForeignMatch | null;
}

/** Folder and history side by side. */
export interface Comparison {
  /** In folder order, then what only the history has. */
  readonly migrations: readonly ComparedMigration[];
  readonly findings: readonly MigrationFinding[];
}

/** What to do about each kind of difference. */
export interface ComparisonPolicy {
  readonly outOfOrder: FindingPolicy;
  readonly changed: FindingPolicy;
  readonly missing: FindingPolicy;
  readonly tampered: FindingPolicy;
}

/** Holds a folder against a history. Pure. */
export function compareHistory(
  folder: MigrationFolder,
  history: readonly HistoryEntry[],
  others: {
    readonly drizzle: DrizzleHistory | null;
    readonly foreign: ForeignMatcher | null;
    /** See `findLostTail`. */
    readonly lostTail: string | null;
  },
  policy: ComparisonPolicy,
): Comparison {
  const findings: MigrationFinding[] = [];
  const report = reporter(findings);
  const entries = new Map(history.map((entry) => [entry.id, entry]));
  const matched = new Set<string>();
  const isFirst = history.length === 0;
  const adoptable = folder.format === "drizzle" && others.drizzle ? new DrizzleMatcher(others.drizzle) : null;
  const fileIds = new Set(folder.migrations.map((file) => file.id));
  const renamed = history.filter((entry) => !fileIds.has(entry.id) && entry.state === "applied");

  const compared = folder.migrations.map((file): ComparedMigration => {
    const entry = entries.get(file.id) ?? findRenamed(file, renamed);
    if (entry) {
      matched.add(entry.id);
      for (const id of file.squashes) matched.add(id);
      if (entry.id !== file.id) {
        report("warn", "MIGRATE-RENAMED", file, `${entry.id} is applied and its file is now called ${file.file}`, {
          hint: "Give the file its old name back, or leave it: its SQL is the same and will not run again.",
        });
      }
      return { id: file.id, state: stateOf(file, entry), file, entry, adopted: null };
    }
    const squashed = file.squashes.filter((id) => entries.get(id)?.state === "applied");
    if (squashed.length > 0) {
      for (const id of squashed) matched.add(id);
      if (squashed.length === file.squashes.length) {
        const adopted = { source: "baseline", when: null, sameHash: true } as const;
        return { id: file.id, state: "applied", file, entry: null, adopted };
      }
      const due = file.squashes.find((id) => !squashed.includes(id));
      report(
        "error",
        "MIGRATE-SQUASH-PARTIAL",
        file,
        `${file.file} stands for migrations of which ${due} is not applied here`,
        {
          hint: "Bring this database up to date with the release before the squash first.",
        },
      );
    }
    const adopted = adoptable?.match(file) ?? others.foreign?.match(file) ?? null;
    if (adopted) {
      if (!adopted.sameHash) {
        report("warn", "MIGRATE-ADOPTED-CHANGED", file, `${file.file} is not the text that ${adopted.source} applied`, {
          hint: "Compare it with version control; the history takes over the file as it is now.",
        });
      }
      return { id: file.id, state: "applied", file, entry: null, adopted };
    }
    return { id: file.id, state: "pending", file, entry: null, adopted: null };
  });
  const missing = history
    .filter((entry) => !matched.has(entry.id) && entry.state !== "reverted")
    .map((entry): ComparedMigration => {
      const state = entry.state === "applied" ? "missing" : entry.state === "failed" ? "failed" : "interrupted";
      return { id: entry.id, state, file: null, entry, adopted: null };
    });

  const newestApplied = compared.findLastIndex(
    (one) => one.file?.kind === "versioned" && (one.state === "applied" || one.state === "changed"),
  );
  const migrations = compared.map((one, index) =>
    one.state === "pending" && one.file?.kind === "versioned" && index < newestApplied
      ? { ...one, state: "out-of-order" as const }
      : one,
  );
  const newest = compared[newestApplied];
  for (const { state, file, entry } of migrations) {
    if (!file) continue;
    if (state === "changed") {
      report(policy.changed, "MIGRATE-CHANGED", file, `${file.file} was edited after it ran`, {
        hint: "Restore the file from version control and put the change in a new migration.",
      });
    } else if (state === "out-of-order") {
      const isDrizzle = adoptable !== null || newest?.adopted?.source === "drizzle";
      const silent = isDrizzle ? ", so drizzle would skip it without a word" : "";
      report(
        policy.outOfOrder,
        "MIGRATE-OUT-OF-ORDER",
        file,
        `${file.file} is older than ${newest?.id}, which is applied${silent}`,
        {
          hint: "Give it a later version, or allow it with outOfOrder once you know the order does not matter.",
        },
      );
    } else if (state === "failed") {
      report("warn", "MIGRATE-FAILED", file, `${file.file} failed last time: ${entry?.error ?? "no message"}`, {
        hint: "Correct the cause; it is run again from where it stopped.",
      });
    } else if (state === "online") {
      const done = `${entry?.statementsDone ?? 0} of ${entry?.statements ?? 0} statements`;
      report("info", "MIGRATE-ONLINE-OPEN", file, `${file.id} is under way online: ${done} are done`, {
        hint: "Go on with backfill or contract, or take it back with cancel.",
      });
    } else if (state === "interrupted") {
      const done = `${entry?.statementsDone ?? 0} of ${entry?.statements ?? 0} statements`;
      report("warn", "MIGRATE-INTERRUPTED", file, `${file.file} was cut short after ${done}`, {
        hint: "Apply again: it goes on where it stopped.",
      });
    }
  }
  for (const { id, state } of missing) {
    if (state !== "missing") continue;
    report(
      policy.missing,
      "MIGRATE-MISSING",
      { id, file: null },
      `${id} is applied and has no file: the database is ahead of the folder`,
      {
        hint: "Use the folder of the newer release, or restore the file.",
      },
    );
  }
  if (isFirst) {
    for (const row of adoptable?.unmatched() ?? []) {
      const at = new Date(row.createdAt).toISOString();
      report(
        policy.missing,
        "MIGRATE-MISSING",
        { id: null, file: null },
        `drizzle applied a migration of ${at} that has no file`,
        {
          hint: "Restore the file and its journal entry, or go on if it is meant to be gone.",
        },
      );
    }
  }
  const broken = findChainBreak(history);
  if (broken) {
    const { id, previous } = broken;
    const after = previous === null ? "stands first" : `stands after ${previous}`;
    const title = `the history was changed by hand: ${id} ${after}, which is not how it was written`;
    report(policy.tampered, "MIGRATE-CHAIN", { id, file: null }, title, {
      hint: "Put the rows back that were deleted, inserted, moved or edited, or take them as they are with repair.",
    });
  }
  if (others.lostTail !== null) {
    const id = others.lostTail;
    report(
      policy.tampered,
      "MIGRATE-CHAIN",
      { id, file: null },
      `the row of ${id}, applied last, was deleted by hand`,
      {
        hint: "Put the row back, or let it be forgotten with repair: the migration then runs once more.",
      },
    );
  }
  findings.push(...(others.foreign?.findings() ?? []));
  findings.push(...folderFindings(folder));
  return { migrations: [...migrations, ...missing], findings };
}

/** The migration a name stands for: an id, a file name or a version. @throws {UnknownMigrationError} */
export function resolveMigration<T extends { readonly id: string; readonly version: string }>(
  name: string,
  migrations: readonly T[],
): T {
  const stem = name.replace(/\.sql$/, "");
  const found =
    migrations.find((one) => one.id === stem) ??
    (/^\d+$/.test(stem)
      ? migrations.find((one) => compareVersions(one.version, stem) === 0 && one.version !== "R")
      : undefined);
  if (found) return found;
  throw new UnknownMigrationError(`no migration is called "${name}"`, {
    hint: `Give an id or a version, such as ${migrations.at(-1)?.id ?? "0001_init"}.`,
  });
}

function stateOf(file: MigrationFile, entry: HistoryEntry): MigrationState {
  if (entry.state === "failed") return "failed";
  if (entry.state === "running") return file.online ? "online" : "interrupted";
  if (entry.state === "reverted") return "reverted";
  if (entry.checksum === file.checksum) return "applied";
  return file.kind === "repeatable" ? "outdated" : "changed";
}

function findRenamed(file: MigrationFile, candidates: readonly HistoryEntry[]): HistoryEntry | undefined {
  return candidates.find(
    (entry) => entry.kind === file.kind && entry.version === file.version && entry.checksum === file.checksum,
  );
}

/** Matches files with drizzle's rows: by hash first, then by the journal's time. */
class DrizzleMatcher {
  readonly #left: DrizzleHistory["rows"][number][];

  constructor(history: DrizzleHistory) {
    this.#left = [...history.rows];
  }

  match(file: MigrationFile): ForeignMatch | null {
    if (!file.drizzle) return null;
    const { hash, when } = file.drizzle;
    const byHash = this.#left.findIndex((row) => row.hash === hash);
    const index = byHash === -1 ? this.#left.findIndex((row) => row.createdAt === when) : byHash;
    const [row] = index === -1 ? [] : this.#left.splice(index, 1);
    return row ? { source: "drizzle", when: row.createdAt, sameHash: row.hash === hash } : null;
  }

  unmatched(): readonly DrizzleHistory["rows"][number][] {
    return this.#left;
  }
}

type Report = (
  policy: FindingPolicy | "info",
  id: string,
  about: { readonly id: string | null; readonly file: string | null },
  title: string,
  extra: { readonly hint: string },
) => void;

function reporter(findings: MigrationFinding[]): Report {
  return (policy, id, about, title, { hint }) => {
    if (policy === "allow") return;
    findings.push({
      id,
      severity: policy === "error" ? "critical" : policy,
      title,
      hint,
      migration: about.id,
      rule: null,
      file: about.file,
      line: null,
      column: null,
      blocks: policy === "error",
      safer: null,
    });
  };
}

/** What a folder alone gives to find, whatever the history holds. */
export function folderFindings(folder: MigrationFolder): MigrationFinding[] {
  const findings: MigrationFinding[] = [];
  reportGaps(folder, reporter(findings));
  return findings;
}

/** Names holes in a row of short numbers; timestamps have no holes. */
function reportGaps(folder: MigrationFolder, report: Report): void {
  const numbered = folder.migrations.filter((file) => file.kind === "versioned" && file.version.length <= 6);
  if (folder.format !== "sql") return;
  numbered.forEach((file, index) => {
    const previous = numbered[index - 1];
    if (!previous || Number(file.version) <= Number(previous.version) + 1) return;
    report("info", "MIGRATE-GAP", file, `there is nothing between ${previous.file} and ${file.file}`, {
      hint: "Look whether a file was left out of the commit.",
    });
  });
}
