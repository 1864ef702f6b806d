import type {
  AuditEntry,
  BackupInfo,
  IndexReport,
  InspectReport,
  MainJobReport,
  MigrationStatus,
  Orchestrator,
  Snapshot,
} from "@db/orchestrator";
import type { ActionLink, HeadView } from "@db/dashboard";
import type { LatencyMemory } from "../latency.ts";
import type { StatementMemory } from "../statement-memory.ts";
import type { AggregateHealth } from "../source.ts";

/** Everything known when a page is drawn; what is not known yet is `undefined`. */
export interface KnownState {
  readonly orchestrator: Orchestrator;
  readonly snapshot: Snapshot;
  readonly health: AggregateHealth;
  readonly mainJob: MainJobReport | undefined;
  readonly backups: readonly BackupInfo[] | undefined;
  readonly lastDrill: AuditEntry | undefined;
  readonly lastValidation: AuditEntry | undefined;
  readonly lastTrial: AuditEntry | undefined;
  readonly migrations: MigrationStatus | undefined;
}

/** What a page may ask beside what is known anyway. */
export interface PageContext extends KnownState {
  readonly head: HeadView;
  readonly latency: LatencyMemory;
  readonly statements: StatementMemory;
  /** An inspection, at most a few seconds old; `undefined` when the server does not answer. */
  readonly inspect: (name: string) => Promise<InspectReport | undefined>;
  /** The index analysis, at most ten minutes old; `undefined` while it is made. */
  indexReport(): Promise<IndexReport | undefined>;
  /** True when whoever looks may ask for that action and it is turned on. */
  readonly may: (action: string) => boolean;
}

/** The two signals a session can be sent, where whoever looks may send them. */
export function sessionActions(may: PageContext["may"], pid: number, backendStart: unknown): readonly ActionLink[] {
  if (typeof backendStart !== "string") return [];
  const link = (how: "cancel" | "terminate", label: string): ActionLink => ({
    label,
    about: `${label} session ${pid}`,
    path: `api/admin/sessions/${pid}/${how}`,
    args: { backendStart },
  });
  return [
    ...(may("sessions.cancel") ? [link("cancel", "Cancel")] : []),
    ...(may("sessions.terminate") ? [link("terminate", "Terminate")] : []),
  ];
}
