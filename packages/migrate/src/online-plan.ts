import type { Catalog } from "./catalog.ts";
import { type ComparedMigration, resolveMigration } from "./comparison.ts";
import { MigrationOptionsError } from "./errors.ts";
import type { MigrationFinding } from "./finding.ts";
import { type MigrationFile, type OnlinePhase, onlinePhases } from "./migration-file.ts";
import type { PlannedMigration } from "./plan.ts";

/** A migration to run, with what the history says of it. */
export interface Pending {
  readonly file: MigrationFile;
  readonly compared: ComparedMigration;
}

// Filled at once, a table of this size is locked for no longer than a blink.
const smallTableRows = 10_000;

/**
 * What of the pending migrations this plan is about. With a phase: the one online migration asked for. Without: all
 * but online ones under way, which go on by their own commands.
 */
export function selectPhase(
  due: readonly Pending[],
  options: { readonly phase?: OnlinePhase; readonly migration?: string },
): { readonly pending: readonly Pending[]; readonly findings: readonly MigrationFinding[] } {
  const { phase } = options;
  if (phase === undefined) {
    return { pending: due.filter((one) => !one.file.online || !isBegun(one)), findings: [] };
  }
  const online = due.filter(({ file }) => file.online);
  const chosen =
    options.migration === undefined
      ? online[0]
      : online.find(({ file }) => file.id === resolveMigration(options.migration ?? "", online.map(idOf)).id);
  if (!chosen) {
    throw new MigrationOptionsError(`no online migration is waiting to ${phase}`, {
      hint: "An online migration has sections migrate:expand, migrate:backfill and migrate:contract.",
    });
  }
  const before = due.filter(
    (one) => one.file.kind === "versioned" && !isBegun(one) && due.indexOf(one) < due.indexOf(chosen),
  );
  return { pending: [chosen], findings: before.map((one) => earlierFinding(one.file, chosen.file)) };
}

/** Findings that need the statements: a phase before its time, or a plain `up` that would fill a large table at once. */
export function phaseFindings(
  migrations: readonly PlannedMigration[],
  catalog: Catalog,
  phase: OnlinePhase | null,
): MigrationFinding[] {
  return migrations.flatMap((migration) => {
    if (migration.statements[0]?.phase !== "expand") return [];
    const needed = phase === null ? null : (onlinePhases[onlinePhases.indexOf(phase) - 1] ?? null);
    const missing = needed === null ? 0 : Math.max(0, endOfPhase(migration, needed) - migration.previousDone);
    if (missing > 0) {
      return [
        finding(migration, "MIGRATE-PHASE-ORDER", `${migration.id} cannot ${phase} yet: ${needed} is not done`, {
          hint: `Run ${needed} first.`,
          blocks: true,
        }),
      ];
    }
    if (phase !== null) return [];
    const large = migration.statements.flatMap(({ backfill }) => {
      const table = backfill === null ? undefined : tableOf(catalog, backfill.table);
      return table && (table.rows ?? 0) > smallTableRows ? [`${table.schema}.${table.name}`] : [];
    });
    if (large.length === 0) return [];
    return [
      finding(migration, "MIGRATE-ONLINE", `${migration.id} is to be run in phases: ${large.join(", ")} is in use`, {
        hint: "Run expand and backfill, deploy the new version, then contract.",
        blocks: true,
      }),
    ];
  });
}

/** How many statements are done when a phase is. */
export function endOfPhase(migration: Pick<PlannedMigration, "statements">, phase: OnlinePhase): number {
  const last = onlinePhases.indexOf(phase);
  return migration.statements.filter((one) => one.phase === null || onlinePhases.indexOf(one.phase) <= last).length;
}

function isBegun({ compared }: Pending): boolean {
  return compared.state === "online" || (compared.state === "failed" && (compared.entry?.statementsDone ?? 0) > 0);
}

function idOf({ file }: Pending): MigrationFile {
  return file;
}

function tableOf(catalog: Catalog, name: string): Catalog["tables"][number] | undefined {
  const [second = "", first] = name.replaceAll('"', "").split(".").toReversed();
  return catalog.tables.find((table) => table.name === second && (first === undefined || table.schema === first));
}

function earlierFinding(earlier: MigrationFile, chosen: MigrationFile): MigrationFinding {
  return finding(chosen, "MIGRATE-PHASE-ORDER", `${earlier.id} is pending before ${chosen.id}`, {
    hint: `Apply it first: up --to ${earlier.id}.`,
    blocks: true,
  });
}

function finding(
  about: { readonly id: string; readonly file: string },
  id: string,
  title: string,
  { hint, blocks }: { readonly hint: string; readonly blocks: boolean },
): MigrationFinding {
  return {
    id,
    severity: blocks ? "critical" : "info",
    title,
    hint,
    migration: about.id,
    rule: null,
    file: about.file,
    line: null,
    column: null,
    blocks,
    safer: null,
  };
}
