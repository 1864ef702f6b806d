import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "@db/core";
import type { FileProblem } from "./file-problem.ts";

/** One entry of drizzle-kit's 0.x `meta/_journal.json`. */
export interface DrizzleJournalEntry {
  readonly idx: number;
  /** Milliseconds since the epoch: the high-water mark drizzle compares. */
  readonly when: number;
  /** The file's stem. */
  readonly tag: string;
}

/** Reads the journal in its own order; null when the folder has none. What is wrong goes to `problems`. */
export async function readDrizzleJournal(
  directory: string,
  problems: FileProblem[],
): Promise<readonly DrizzleJournalEntry[] | null> {
  let text: string;
  try {
    text = await readFile(join(directory, "meta", "_journal.json"), "utf8");
  } catch {
    return null;
  }
  const report = (message: string): void => {
    problems.push({
      code: "MIGRATE-JOURNAL",
      file: "meta/_journal.json",
      line: null,
      column: null,
      message,
      excerpt: null,
      hint: "Restore the journal from version control, or remove meta/ to use the files' own versions.",
    });
  };
  let journal: unknown;
  try {
    journal = JSON.parse(text);
  } catch (error) {
    report(`the journal is not JSON: ${messageOf(error)}`);
    return [];
  }
  const { dialect, entries } = (journal ?? {}) as { dialect?: unknown; entries?: unknown };
  // Folders made before drizzle-kit 0.20 say "pg".
  if (dialect !== "postgresql" && dialect !== "pg") {
    report(`the journal is for ${typeof dialect === "string" ? dialect : "no known database"}, not PostgreSQL`);
    return [];
  }
  if (!Array.isArray(entries) || !entries.every(isEntry)) {
    report("the journal's entries are not { idx, when, tag }");
    return [];
  }
  const tags = new Set<string>();
  for (const entry of entries) {
    if (tags.has(entry.tag)) report(`the journal names ${entry.tag} twice`);
    tags.add(entry.tag);
  }
  return entries.toSorted((a, b) => a.idx - b.idx);
}

function isEntry(value: unknown): value is DrizzleJournalEntry {
  const entry = value as Partial<DrizzleJournalEntry> | null;
  return typeof entry?.idx === "number" && typeof entry.when === "number" && typeof entry.tag === "string";
}
