import type { Queryable } from "@db/core";
import type { MigrationFinding } from "../finding.ts";
import { compareVersions } from "../folder.ts";
import type { MigrationFile } from "../migration-file.ts";
import { findForeignHistories } from "./foreign-history.ts";
import type { MigrationOrigin } from "./origin.ts";
import { type ForeignHistory, type ForeignRow, type ForeignToolName, importFinding } from "./foreign-tool.ts";
import { foreignToolsByName } from "./registry.ts";

/** A file that another tool has applied. */
export interface ForeignMatch {
  readonly source: ForeignToolName | "baseline";
  /** Milliseconds since the epoch; null when the tool keeps no time. */
  readonly when: number | null;
  readonly sameHash: boolean;
}

/** Looks for the histories of other tools, to match a folder with. */
export async function matchForeign(
  session: Queryable,
  { migrations }: { readonly migrations: readonly MigrationFile[] },
): Promise<ForeignMatcher> {
  return new ForeignMatcher(await findForeignHistories(session), migrations);
}

/** Matches imported files with the histories their tools left in the database. */
export class ForeignMatcher {
  readonly #histories: readonly { readonly history: ForeignHistory; readonly left: ForeignRow[] }[];
  readonly #origins: ReadonlySet<string>;
  readonly #failed: { readonly file: MigrationFile; readonly history: ForeignHistory }[] = [];

  constructor(histories: readonly ForeignHistory[], files: readonly MigrationFile[]) {
    this.#histories = histories.map((history) => ({ history, left: [...history.rows] }));
    this.#origins = new Set(files.flatMap(({ origin }) => origin?.tool ?? []));
  }

  match(file: MigrationFile): ForeignMatch | null {
    const { origin } = file;
    if (!origin) return null;
    for (const { history, left } of this.#histories) {
      if (history.tool !== origin.tool) continue;
      const tool = foreignToolsByName[history.tool];
      const matches = (one: MigrationOrigin, row: ForeignRow): boolean =>
        tool.matches?.(one, row) ?? row.key === one.key;
      const same = left.findIndex(
        (row) => row.checksum !== null && row.checksum === origin.checksum && matches(origin, row),
      );
      const index = same === -1 ? left.findIndex((row) => matches(origin, row)) : same;
      const [row] = index === -1 ? [] : left.splice(index, 1);
      if (row?.state === "failed") {
        this.#failed.push({ file, history });
        return null;
      }
      if (row) {
        const sameHash = row.checksum === null || origin.checksum === null || row.checksum === origin.checksum;
        return { source: history.tool, when: row.appliedAt, sameHash };
      }
      if (history.upTo !== null && isUpTo(origin.key, history.upTo)) {
        return { source: history.tool, when: null, sameHash: true };
      }
    }
    return null;
  }

  /** What is to be said of the histories once every file has been matched. */
  findings(): MigrationFinding[] {
    const findings: MigrationFinding[] = [];
    for (const { file, history } of this.#failed) {
      const title = `${history.tool} left ${file.file} half done (${history.table})`;
      const hint = `Finish or undo it by hand and correct its row in ${history.table}, then plan again.`;
      findings.push({
        ...importFinding("MIGRATE-FOREIGN-FAILED", "critical", file.file, title, hint),
        migration: file.id,
      });
    }
    for (const { history, left } of this.#histories) {
      if (history.rows.length === 0 && history.upTo === null) continue;
      if (this.#origins.has(history.tool)) {
        for (const { key, state } of left) {
          if (state === "failed") continue;
          const title = `${history.tool} applied ${key}, which has no file here: the database is ahead of the folder`;
          const hint = "Import again from the folder of the newer release, or go on if it is meant to be gone.";
          findings.push(importFinding("MIGRATE-MISSING", "warn", null, title, hint));
        }
        continue;
      }
      const title = `${history.tool} has migrated this database (${history.table}), and this folder was not imported from it`;
      const hint =
        `Import its folder with "db migrate import", or say with "db migrate baseline --to <id>" which of these ` +
        "migrations the database already has.";
      findings.push(importFinding("MIGRATE-FOREIGN-HISTORY", "critical", null, title, hint));
    }
    return findings;
  }
}

function isUpTo(key: string, upTo: string): boolean {
  const [left, right] = [key, upTo].map((version) => version.split(/[._]/));
  for (let index = 0; index < Math.max(left?.length ?? 0, right?.length ?? 0); index++) {
    const order = compareVersions(left?.[index] ?? "0", right?.[index] ?? "0");
    if (order !== 0) return order < 0;
  }
  return true;
}
