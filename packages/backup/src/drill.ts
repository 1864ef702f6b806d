import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AbortedError,
  type DatabaseLike,
  type Finding,
  isDbError,
  messageOf,
  type Queryable,
  redactUrls,
} from "@db/core";
import { Client } from "pg";
import { markVerified } from "./catalog.ts";
import { type ComparisonReport, compareDatabases } from "./compare.ts";
import { type JobOptions, resolveJobOptions, type ResolvedJobOptions } from "./options.ts";
import type { RecoveryTarget } from "./recovery-target.ts";
import type { Repository } from "./repository/repository.ts";
import { chooseBackup } from "./restore-choice.ts";
import { planRestore, type RestorePlan } from "./restore-plan.ts";
import { restoreBackup, type RestoreReport } from "./restore.ts";
import type { RecoveryTimeline } from "./wal-inventory.ts";

/** A server on a restored data directory, started by whoever runs the drill. */
export interface DrillCluster {
  /** `postgres://` URL of a superuser, any database. */
  readonly url: string;
  stop(): Promise<void>;
}

/** What a drill takes. */
export interface DrillOptions extends JobOptions {
  readonly repository: Repository;
  /** Default: the newest. */
  readonly label?: string | undefined;
  /** The cluster, where the repository holds several. */
  readonly systemIdentifier?: string | undefined;
  /** Default `immediate`. */
  readonly target?: RecoveryTarget | undefined;
  /** Which timeline recovery follows. Default `latest`. */
  readonly timeline?: RecoveryTimeline | undefined;
  /** Starts a server of the backup's major version on the directory and returns when it takes connections. */
  readonly startCluster: (
    dataDirectory: string,
    about: { readonly major: number; readonly signal: AbortSignal | undefined },
  ) => Promise<DrillCluster>;
  /** Looks at the restored data, as the data checks would; what it returns goes into the report. */
  readonly verify?: ((db: Queryable) => Promise<readonly Finding[]>) | undefined;
  /** The live database to compare with, which must be quiet since the backup. */
  readonly compareWith?: DatabaseLike | undefined;
  /** Where the temporary directory is made. Default the system's. */
  readonly directory?: string | undefined;
  /** Who owns the restored files when this process is root: the account the server runs as. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  /** More settings for the restored server. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
  /** True writes down that the backup was verified, when the drill went well. Default true. */
  readonly record?: boolean | undefined;
  /** Longest wait for recovery to end. Default 300 000. */
  readonly recoveryTimeoutMs?: number | undefined;
}

/** What a drill proved. */
export interface DrillReport {
  readonly label: string;
  /** True when the backup was restored, started, and nothing critical was found. */
  readonly ok: boolean;
  /** Null when the restore failed. */
  readonly restore: RestoreReport | null;
  /** From the start of the server to its first answer outside recovery; null when it never came. */
  readonly recoveryMs: number | null;
  readonly comparison: ComparisonReport | null;
  readonly findings: readonly Finding[];
  readonly durationMs: number;
}

// A copy must not act: not replicate, not run jobs, not wait for a standby that is not there.
const isolation: Readonly<Record<string, string>> = {
  archive_mode: "off",
  primary_conninfo: "",
  primary_slot_name: "",
  synchronous_standby_names: "",
  shared_preload_libraries: "",
  max_logical_replication_workers: "0",
  ssl: "off",
};

/**
 * Restores a backup into a temporary directory, starts a server on it, waits for recovery, looks at the data, and
 * removes everything again. A backup that cannot be restored is a finding, not an error.
 * @throws {BackupNotFoundError} @throws {MissingKeyError} @throws {StorageError} @throws {AbortedError}
 */
export async function runRestoreDrill(options: DrillOptions): Promise<DrillReport> {
  const job = resolveJobOptions(options);
  const began = job.clock.now();
  const parent = await mkdtemp(join(options.directory ?? tmpdir(), "restore-drill-"));
  // The account the server runs as has to pass; the data directories below are 0700 and its own.
  if (options.owner) await chmod(parent, 0o711);
  const drill = new Drill(options, job, parent);
  try {
    await drill.run();
  } catch (error) {
    if (!drill.tell(error)) throw error;
  } finally {
    await drill.end();
    await rm(parent, { recursive: true, force: true, maxRetries: 3 });
  }
  const ok = !drill.findings.some(({ severity }) => severity === "critical");
  job.metrics.count("db_backup_drills_total", { result: ok ? "ok" : "failed" });
  job.metrics.gauge("db_backup_last_drill_timestamp_seconds", job.clock.now() / 1000);
  job.logger.info({ label: drill.label, ok }, "restore drill ended");
  const { label, restore, recoveryMs, comparison, findings } = drill;
  if (ok && (options.record ?? true)) await drill.mark();
  return { label, ok, restore, recoveryMs, comparison, findings, durationMs: job.clock.now() - began };
}

/** One drill under way. */
class Drill {
  readonly #options: DrillOptions;
  readonly #job: ResolvedJobOptions;
  readonly #parent: string;
  readonly findings: Finding[] = [];
  label = "";
  restore: RestoreReport | null = null;
  recoveryMs: number | null = null;
  comparison: ComparisonReport | null = null;
  #systemIdentifier = "";
  #cluster: DrillCluster | undefined;
  #phase: "restore" | "start" | "look" = "restore";

  constructor(options: DrillOptions, job: ResolvedJobOptions, parent: string) {
    this.#options = options;
    this.#job = job;
    this.#parent = parent;
    this.label = options.label ?? "";
  }

  async run(): Promise<void> {
    const { repository, owner, compareWith, verify } = this.#options;
    const plan = await this.#plan();
    this.label = plan.backup.label;
    this.#systemIdentifier = plan.backup.systemIdentifier;
    this.findings.push(...plan.findings);
    this.restore = await restoreBackup({ repository, plan, owner, durable: false, ...this.#job });
    this.#phase = "start";
    const { client, database } = await this.#start(plan, compareWith);
    try {
      this.#phase = "look";
      if (compareWith) {
        this.comparison = await compareDatabases(compareWith, client, this.#job);
        this.findings.push(...comparisonFindings(this.comparison, this.label));
      }
      this.#job.onProgress({ phase: "check", current: 0, unit: "steps", message: database });
      if (verify) this.findings.push(...(await verify(client)));
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** A backup that ran is verified. */
  async mark(): Promise<void> {
    const verifiedAt = new Date(this.#job.clock.now()).toISOString();
    await markVerified(this.#options.repository, this.#systemIdentifier, {
      label: this.label,
      depth: "drill",
      verifiedAt,
    });
  }

  /** Turns what shows the backup to be bad into a finding. @returns false for everything else */
  tell(error: unknown): boolean {
    if (this.#job.signal?.aborted || isDbError(error, "CORE_ABORTED")) return false;
    const corrupt = isDbError(error, "BACKUP_CORRUPT");
    if (!corrupt && this.#phase === "restore") return false;
    const what = { restore: "be restored", start: "be started", look: "be read" }[this.#phase];
    this.findings.push({
      id: corrupt ? "BACKUP-CORRUPT" : `DRILL-${this.#phase.toUpperCase()}-FAILED`,
      severity: "critical",
      title: `backup ${this.label} cannot ${what}: ${redactUrls(messageOf(error))}`,
      subject: this.label,
      hint: "Take a new backup now, then find out why this one fails.",
    });
    return true;
  }

  async end(): Promise<void> {
    try {
      await this.#cluster?.stop();
    } catch (error) {
      this.#job.logger.warn({ error: messageOf(error) }, "could not stop the restored server");
    }
  }

  async #plan(): Promise<RestorePlan> {
    const { repository, label, systemIdentifier, target, timeline, settings } = this.#options;
    const data = join(this.#parent, "data");
    const settled = { ...isolation, ...settings };
    const ask = { repository, label, systemIdentifier, target, timeline, settings: settled, directory: data };
    // A first look chooses the backup; its tablespaces then get directories of their own beside the data.
    const { tablespaces: there } = await chooseBackup(repository, { label, systemIdentifier }, target);
    const tablespaces = Object.fromEntries(there.map(({ oid }) => [oid, join(this.#parent, `tablespace-${oid}`)]));
    return planRestore({ ...ask, tablespaces });
  }

  async #start(
    plan: RestorePlan,
    compareWith: DatabaseLike | undefined,
  ): Promise<{ client: Client; database: string }> {
    const { clock, signal } = this.#job;
    const began = clock.now();
    const major = Math.floor(plan.backup.serverVersion / 10_000);
    this.#cluster = await this.#options.startCluster(plan.directory, { major, signal });
    const database = compareWith ? await currentDatabase(compareWith) : "postgres";
    const url = new URL(this.#cluster.url);
    url.pathname = `/${encodeURIComponent(database)}`;
    const client = new Client({ connectionString: url.href, application_name: "db-restore-drill" });
    client.on("error", () => undefined);
    await client.connect();
    const deadline = began + (this.#options.recoveryTimeoutMs ?? 300_000);
    while (await inRecovery(client)) {
      if (clock.now() > deadline) {
        await client.end().catch(() => undefined);
        throw new AbortedError("recovery did not end in time", { hint: "Raise recoveryTimeoutMs." });
      }
      await clock.sleep(50, signal);
    }
    this.recoveryMs = clock.now() - began;
    return { client, database };
  }
}

async function inRecovery(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ recovering: boolean }>("select pg_catalog.pg_is_in_recovery() as recovering");
  return rows[0]?.recovering ?? false;
}

async function currentDatabase(db: DatabaseLike): Promise<string> {
  const { rows } = await db.query<{ name: string }>("select pg_catalog.current_database() as name");
  return rows[0]?.name ?? "postgres";
}

function comparisonFindings(comparison: ComparisonReport, label: string): Finding[] {
  const tables = comparison.tables.filter(({ equal }) => !equal).map(({ schema, table }) => `${schema}.${table}`);
  const sequences = comparison.sequences.filter(({ equal }) => !equal).map((s) => `${s.schema}.${s.sequence}`);
  const different = [...tables, ...sequences];
  if (different.length === 0) return [];
  return [
    {
      id: "DRILL-DIFFERENT",
      severity: "critical",
      title: `${different.length} tables or sequences differ from the live one: ${different.slice(0, 5).join(", ")}`,
      subject: label,
      observed: different.length,
      threshold: 0,
      hint: "If the live database was written since the backup, run the drill on a quiet one; else take a new backup.",
    },
  ];
}
