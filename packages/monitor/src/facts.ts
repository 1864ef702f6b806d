/** What collectors learn that is no number in a series: names, texts, trees. Each part is absent until read. */
export interface Facts {
  readonly identity?: Identity;
  readonly settings?: Readonly<Record<string, SettingFact>>;
  /** Settings seen to change since the monitor began, newest first, at most 20. */
  readonly changedSettings?: readonly SettingChange[];
  /** Those whose transaction has been open longest, at most 20; not those that began it within a tenth of a second. */
  readonly sessions?: readonly SessionFact[];
  /** Sessions that wait for a lock and those that hold them up; empty when nobody has waited for a tenth of a second. */
  readonly blocking?: readonly BlockingFact[];
  readonly xminHolders?: readonly XminHolder[];
  readonly statements?: StatementsFact;
  readonly vacuum?: readonly VacuumFact[];
  readonly sequences?: readonly SequenceFact[];
  readonly catalog?: CatalogFact;
}

/** Who the monitor is on that server and what it may see. */
export interface Identity {
  readonly database: string;
  readonly role: string;
  /** Member of `pg_monitor`, or superuser: sees every session, statement text and directory. */
  readonly canMonitor: boolean;
  readonly startedAt: string;
}

export interface SettingFact {
  readonly value: string;
  /** PostgreSQL's unit, `8kB`, `ms`; empty where there is none. */
  readonly unit: string;
  /** Changed in the files, not yet in force. */
  readonly pendingRestart: boolean;
}

/** A setting that another value came into force for. */
export interface SettingChange {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  /** PostgreSQL's unit; empty where there is none. */
  readonly unit: string;
  /** When it was seen, ISO 8601. */
  readonly at: string;
}

export interface SessionFact {
  readonly pid: number;
  readonly database: string;
  readonly user: string;
  readonly application: string;
  readonly state: string;
  readonly backendType: string;
  /** `Lock:relation`; empty when it is not waiting. */
  readonly wait: string;
  /** Seconds since the transaction began, the statement began, the state changed. */
  readonly transactionSeconds: number | null;
  readonly querySeconds: number | null;
  readonly stateSeconds: number | null;
  /** ISO 8601; with `pid` it names the session for good. */
  readonly backendStart: string;
  /** The statement without its literals, at most 500 characters. */
  readonly query: string;
}

export interface BlockingFact extends SessionFact {
  /** The sessions it waits for; empty for the root of a tree. */
  readonly blockedBy: readonly number[];
  /** Seconds it has waited for the lock; `null` when it does not wait. */
  readonly waitSeconds: number | null;
}

/** Something that keeps VACUUM from removing rows. */
export interface XminHolder {
  readonly holder: "activity" | "slot" | "standby" | "prepared";
  readonly who: string;
  /** Transactions since. */
  readonly age: number;
}

export interface StatementsFact {
  /** Why there are no numbers, or `ready`. */
  readonly state: "ready" | "not-loaded" | "not-installed" | "no-privilege";
  /** `pg_stat_statements` as installed in the database read, e.g. `1.12`. */
  readonly extensionVersion?: string;
  readonly top: readonly StatementFact[];
}

export interface StatementFact {
  /** `other` for the sum of all that are not among the top. */
  readonly queryId: string;
  readonly user: string;
  readonly database: string;
  readonly calls: number;
  readonly totalSeconds: number;
  readonly rows: number;
  readonly sharedBlocksHit: number;
  readonly sharedBlocksRead: number;
  readonly tempBlocksWritten: number;
  /** True for what the monitor itself asked. */
  readonly own: boolean;
  /** Normalised, without literals, at most 8 kB; absent until it was read. */
  readonly text?: string;
}

/** A table with more dead rows than its own autovacuum trigger. */
export interface VacuumFact {
  readonly database: string;
  readonly schema: string;
  readonly table: string;
  readonly deadRows: number;
  readonly liveRows: number;
  /** Dead rows at which autovacuum would begin. */
  readonly triggerRows: number;
  readonly autovacuumEnabled: boolean;
  readonly lastVacuum: string | null;
}

export interface SequenceFact {
  readonly database: string;
  readonly schema: string;
  readonly sequence: string;
  /** The column it feeds, `table.column`; empty for a free-standing one. */
  readonly column: string;
  readonly usedRatio: number;
}

/** What the catalog of each database says about its own design. At most 50 of each. */
export interface CatalogFact {
  readonly tablesWithoutPrimaryKey: readonly RelationFact[];
  readonly invalidIndexes: readonly RelationFact[];
  readonly unvalidatedConstraints: readonly RelationFact[];
}

export interface RelationFact {
  readonly database: string;
  readonly schema: string;
  /** Table, or table and constraint separated by a dot, or index. */
  readonly name: string;
  /** Estimated rows of the table. */
  readonly rows: number;
}
