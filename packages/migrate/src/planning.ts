import { compareFindings, type DatabaseLike, type Queryable, toDatabase } from "@db/core";
import type { ForeignMatcher } from "./adopt/foreign-matcher.ts";
import { type Catalog, collectCatalog, fingerprintCatalog } from "./catalog.ts";
import { chainOf } from "./checksum.ts";
import { compareHistory, type Comparison, folderFindings, resolveMigration } from "./comparison.ts";
import { downSqlOf } from "./down-section.ts";
import { type DrizzleHistory, readDrizzleHistory } from "./drizzle-history.ts";
import { MigrationFilesError, MigrationOptionsError } from "./errors.ts";
import type { FileProblem } from "./file-problem.ts";
import type { MigrationFinding } from "./finding.ts";
import { type MigrationFolder, readMigrationFolder } from "./folder.ts";
import { History, type HistoryEntry } from "./history.ts";
import { lastLink } from "./history-chain.ts";
import type { LintMigration } from "./lint/lint.ts";
import type { MigrationFile, OnlinePhase } from "./migration-file.ts";
import { type Pending, phaseFindings, selectPhase } from "./online-plan.ts";
import type { ShadowDatabase } from "./reversal-proof.ts";
import { historyDefaults, type MigrationOptions, planDefaults, type PlanOptions, resolveLimits } from "./options.ts";
import type { AdoptedMigration, KnownMigration, MigrationPlan, PlannedMigration } from "./plan.ts";
import type { ParsedMigration } from "./planned-migration.ts";
import { readServer, type ServerFacts } from "./server.ts";
import { isSettled, type Opening, readOpening } from "./settled.ts";

/** What a plan is made from, read and not yet judged. */
export interface MigrationInputs {
  readonly folder: MigrationFolder;
  readonly server: ServerFacts;
  readonly history: History;
  /** Null when there is no history yet. */
  readonly entries: readonly HistoryEntry[] | null;
  readonly drizzle: DrizzleHistory | null;
  /** What other tools left, looked for while there is no history of our own; null when there is one. */
  readonly foreign: ForeignMatcher | null;
  /** The migration applied last, when its row is gone from the history. */
  readonly lostTail: string | null;
}

/**
 * Plans what is pending. Reads the folder and the database, writes nothing.
 * @throws {MigrationFilesError} with every unusable file, syntax errors included
 * @throws {MigrationFolderError} {@link HistoryError} {@link UnsupportedServerError} {@link UnknownMigrationError}
 */
export async function planMigrations(db: DatabaseLike, options: PlanOptions): Promise<MigrationPlan> {
  const policy = { ...planDefaults, ...options };
  const limits = resolveLimits(options);
  // The files are read while the server answers; what is wrong with them is told first all the same.
  const reading = readMigrationFolder(options.directory, options.placeholders);
  const planned = toDatabase(db).withSession(async (session) => {
    const opening = await readOpening(session, new History(options));
    const folder = await reading;
    if (options.phase === undefined && isSettled(folder, opening)) return settledPlan(folder, opening, options);
    const inputs = await readInputs(session, folder, options, opening);
    const comparison = compareHistory(folder, inputs.entries ?? [], inputs, policy);
    const due = selectPending(comparison, folder, options.to);
    const { pending, findings: onlineFindings } = selectPhase(due, options);
    const adopt = adoptionsOf(comparison, inputs.entries ?? []);
    const findings = [...comparison.findings, ...onlineFindings, ...dependencyFindings(pending, comparison)];
    // The server reads its catalog while the files are parsed here.
    const collecting = pending.length > 0 ? collectCatalog(session, inputs.history.schema) : Promise.resolve(null);
    const [parsed, catalog] = await bothOf(parsePending(pending, inputs.server.version), collecting);
    const { migrations, findings: lintFindings } = catalog
      ? await judgePending(pending, parsed, lastChain(inputs.entries ?? [], adopt), catalog, limits, policy.lintBlocks)
      : { migrations: [], findings: [] };
    const phase = options.phase ?? null;
    const judged = [...findings, ...lintFindings, ...(catalog ? phaseFindings(migrations, catalog, phase) : [])];
    return assemblePlan("up", inputs, { catalog, adopt, migrations, findings: judged, phase });
  });
  const [, plan] = await bothOf(reading, planned);
  return plan;
}

/** What planning comes to when the history is all that the folder asks for. Pure but for the time. */
function settledPlan(folder: MigrationFolder, { server }: Opening, options: PlanOptions): MigrationPlan {
  if (options.to !== undefined) resolveMigration(options.to, folder.migrations);
  const entries = folder.migrations.map(({ id, checksum }): KnownMigration => ({ id, state: "applied", checksum }));
  const inputs = { folder, server, history: new History(options), entries, drizzle: null };
  return assemblePlan("up", inputs, { catalog: null, adopt: [], migrations: [], findings: folderFindings(folder) });
}

/**
 * Plans to declare migrations applied without running them, for a database whose schema was made another way.
 * @throws {MigrationOptionsError} when the history already has applied migrations
 */
export async function planBaseline(
  db: DatabaseLike,
  options: MigrationOptions & {
    /** Last migration the database already has: id, file or version. */
    readonly to: string;
    /**
     * Makes an empty database to run those migrations in: what it holds then and this one does not, or the other way
     * round, blocks the plan. Default: the claim is believed.
     */
    readonly createDatabase?: () => Promise<ShadowDatabase>;
  },
): Promise<MigrationPlan> {
  const folder = await readMigrationFolder(options.directory, options.placeholders);
  const last = resolveMigration(options.to, folder.migrations);
  return toDatabase(db).withSession(async (session) => {
    const inputs = await readInputs(session, folder, options);
    if (inputs.entries?.some((entry) => entry.state !== "reverted")) {
      throw new MigrationOptionsError("the history is not empty: a baseline is its first entry", {
        hint: "Use status to see what is applied.",
      });
    }
    const chosen = folder.migrations.slice(0, folder.migrations.indexOf(last) + 1);
    let link: string | null = null;
    const adopt = chosen.map((file): AdoptedMigration => {
      const chain = file.kind === "versioned" ? chainOf(link, file.checksum) : null;
      link = chain ?? link;
      return adopted(file, chain, "baseline", null);
    });
    const findings = options.createDatabase
      ? await baselineFindings(session, last.id, { ...options, createDatabase: options.createDatabase })
      : [];
    return assemblePlan("baseline", inputs, { catalog: null, adopt, migrations: [], findings });
  });
}

async function baselineFindings(
  session: Queryable,
  to: string,
  options: MigrationOptions & { readonly createDatabase: () => Promise<ShadowDatabase> },
): Promise<MigrationFinding[]> {
  const { buildCatalog } = await import("./shadow-catalog.ts");
  const { diffCatalogs } = await import("./catalog-diff.ts");
  const expected = await buildCatalog({ ...options, to });
  const found = await collectCatalog(session, options.schema ?? historyDefaults.schema);
  return diffCatalogs(expected, found).map((difference) => ({
    id: "MIGRATE-BASELINE",
    severity: "critical" as const,
    title: `${difference.object} is not as the migrations up to ${to} make it`,
    hint: "Bring the database to what they make, or name another migration; db migrate drift tells the difference.",
    subject: difference.object,
    migration: to,
    rule: null,
    file: null,
    line: null,
    column: null,
    blocks: true,
    safer: null,
  }));
}

/** Reads everything a plan needs but the catalog. */
export async function readInputs(
  session: Queryable,
  reading: MigrationFolder | Promise<MigrationFolder>,
  options: Pick<PlanOptions, "schema" | "table">,
  opening?: Opening,
): Promise<MigrationInputs> {
  const server = opening?.server ?? (await readServer(session));
  const history = new History(options);
  const entries = await history.read(session, opening);
  const folder = await reading;
  const drizzle = folder.format === "drizzle" ? await readDrizzleHistory(session) : null;
  const isFirst = folder.format === "sql" && (entries ?? []).length === 0;
  // Every start with a history goes without what only a first one needs.
  const foreign = isFirst ? await (await import("./adopt/foreign-matcher.ts")).matchForeign(session, folder) : null;
  // With a row for every file nothing can run twice, which is what a lost row leads to.
  const known = new Set((entries ?? []).map(({ id }) => id));
  const isComplete = entries === null || folder.migrations.every(({ id }) => known.has(id));
  const lostTail = isComplete
    ? null
    : await (await import("./history-tail.ts")).findLostTail(session, history, entries);
  return { folder, server, history, entries, drizzle, foreign, lostTail };
}

/** Puts a plan together. Pure but for the time. */
export function assemblePlan(
  direction: MigrationPlan["direction"],
  inputs: Pick<MigrationInputs, "folder" | "server" | "history" | "drizzle"> & {
    readonly entries: readonly KnownMigration[] | null;
  },
  parts: {
    readonly catalog: Catalog | null;
    readonly adopt: readonly AdoptedMigration[];
    readonly migrations: readonly PlannedMigration[];
    readonly findings: readonly MigrationFinding[];
    readonly phase?: OnlinePhase | null;
  },
): MigrationPlan {
  const { folder, server, history, entries, drizzle } = inputs;
  const findings = parts.findings.toSorted(compareFindings);
  return {
    format: 1,
    direction,
    phase: parts.phase ?? null,
    createdAt: new Date().toISOString(),
    directory: folder.directory,
    folderFormat: folder.format,
    server: { version: server.version, database: server.database },
    history: {
      schema: history.schema,
      table: history.table,
      exists: entries !== null,
      known: (entries ?? []).map(({ id, state, checksum }) => ({ id, state, checksum })),
      drizzleSchema: drizzle?.schema ?? null,
    },
    catalogFingerprint: parts.catalog ? fingerprintCatalog(parts.catalog) : null,
    adopt: parts.adopt,
    migrations: parts.migrations,
    findings,
    blocked: findings.some((finding) => finding.blocks),
  };
}

const runnable = new Set(["pending", "out-of-order", "failed", "interrupted", "online", "reverted", "outdated"]);

function selectPending(comparison: Comparison, folder: MigrationFolder, to: string | undefined): Pending[] {
  const last = to === undefined ? folder.migrations.at(-1) : resolveMigration(to, folder.migrations);
  const until = last ? folder.migrations.indexOf(last) : -1;
  return comparison.migrations.flatMap((compared) => {
    const { file } = compared;
    if (!file || !runnable.has(compared.state) || folder.migrations.indexOf(file) > until) return [];
    return [{ file, compared }];
  });
}

/** Waits for both, so that nothing is left under way on the session when one fails. The first error is told. */
export async function bothOf<A, B>(one: Promise<A>, other: Promise<B>): Promise<[A, B]> {
  const [first, second] = await Promise.allSettled([one, other]);
  if (first.status === "rejected") throw first.reason;
  if (second.status === "rejected") throw second.reason;
  return [first.value, second.value];
}

/** @throws {MigrationFilesError} with every problem of every file */
async function parsePending(
  pending: readonly Pending[],
  serverVersion: number,
): Promise<ReadonlyMap<string, ParsedMigration>> {
  const parsed = new Map<string, ParsedMigration>();
  if (pending.length === 0) return parsed;
  const { loadParser, parseMigration } = await import("./analysis.ts");
  const parser = await loadParser();
  const problems: FileProblem[] = [];
  for (const { file } of pending) {
    const migration = parseMigration(parser, file.up, file.verify, serverVersion, problems);
    if (
      migration.statements.length === 0 &&
      !file.up.program &&
      !problems.some((problem) => problem.file === file.file)
    ) {
      problems.push(emptyProblem(file));
    }
    // The down is parsed now so that its mistakes are known before it is needed.
    if (file.down) parseMigration(parser, file.down, null, serverVersion, problems);
    parsed.set(file.id, migration);
  }
  if (problems.length > 0) throw new MigrationFilesError(problems);
  return parsed;
}

async function judgePending(
  pending: readonly Pending[],
  parsed: ReadonlyMap<string, ParsedMigration>,
  firstChain: string | null,
  catalog: Catalog,
  limits: ReturnType<typeof resolveLimits>,
  lintBlocks: NonNullable<PlanOptions["lintBlocks"]>,
): Promise<{ migrations: PlannedMigration[]; findings: readonly MigrationFinding[] }> {
  const { lint, plannedMigration } = await import("./analysis.ts");
  const subjects = pending.map(({ file }): LintMigration => ({
    id: file.id,
    statements: parsed.get(file.id)?.statements ?? [],
    transactional: parsed.get(file.id)?.transactional ?? true,
    allowances: file.allowances,
  }));
  const judged = lint(subjects, catalog, { blocks: lintBlocks, exempt: "plan" });
  let last = firstChain;
  const migrations = pending.map(({ file, compared }) => {
    const chain = file.kind === "versioned" ? chainOf(last, file.checksum) : null;
    last = chain ?? last;
    return plannedMigration(file, parsed.get(file.id) as ParsedMigration, judged.effects.get(file.id) ?? [], {
      settings: file.up.settings,
      limits,
      serverVersion: catalog.serverVersion,
      chain,
      previousState: compared.entry?.state ?? null,
      previousDone: compared.entry?.statementsDone ?? 0,
      downSql: downSqlOf(file),
    });
  });
  return { migrations, findings: judged.findings };
}

function emptyProblem(file: MigrationFile): FileProblem {
  return {
    code: "MIGRATE-EMPTY",
    file: file.file,
    line: null,
    column: null,
    message: "there is no SQL to run",
    excerpt: null,
    hint: 'Write the SQL below "-- migrate:up", or remove the file.',
  };
}

function adoptionsOf(comparison: Comparison, entries: readonly HistoryEntry[]): AdoptedMigration[] {
  let last = lastLink(entries);
  return comparison.migrations.flatMap(({ file, adopted: match }) => {
    if (!file || !match) return [];
    const chain = file.kind === "versioned" ? chainOf(last, file.checksum) : null;
    last = chain ?? last;
    const appliedAt = match.when === null ? null : new Date(match.when).toISOString();
    return [adopted(file, chain, match.source, appliedAt)];
  });
}

function adopted(
  file: MigrationFile,
  chain: string | null,
  source: AdoptedMigration["source"],
  appliedAt: string | null,
): AdoptedMigration {
  const { id, version, name, kind, checksum } = file;
  return { id, version, name, kind, checksum, chain, statements: 0, downSql: downSqlOf(file), source, appliedAt };
}

function lastChain(entries: readonly HistoryEntry[], adopt: readonly AdoptedMigration[]): string | null {
  return adopt.findLast(({ chain }) => chain !== null)?.chain ?? lastLink(entries);
}

function dependencyFindings(pending: readonly Pending[], comparison: Comparison): MigrationFinding[] {
  const ready = new Set(comparison.migrations.filter(({ state }) => !runnable.has(state)).map(({ id }) => id));
  const findings: MigrationFinding[] = [];
  for (const { file } of pending) {
    for (const needed of file.up.settings.depends) {
      if (ready.has(needed)) continue;
      findings.push({
        id: "MIGRATE-DEPENDS",
        severity: "critical",
        title: `${file.file} depends on ${needed}, which is neither applied nor planned before it`,
        hint: "Add the file it depends on, or correct its depends setting.",
        migration: file.id,
        rule: null,
        file: file.file,
        line: 1,
        column: 1,
        blocks: true,
        safer: null,
      });
    }
    ready.add(file.id);
  }
  return findings;
}
