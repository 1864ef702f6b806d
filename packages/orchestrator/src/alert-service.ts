import type { Monitor, Silence, SilenceRequest } from "@db/monitor";
import type { AuditTrail } from "./audit.ts";
import { NotConfiguredError, ReadOnlyError } from "./errors.ts";

/** Alerts that somebody knows of: silenced, and told again. Each change is in the audit trail. */
export interface AlertService {
  /** What is silenced. */
  silences(): Promise<readonly Silence[]>;
  /** @throws {InvalidSilenceError} @throws {ReadOnlyError} */
  silence(request: SilenceRequest): Promise<Silence>;
  /** @returns false when there is no silence of that id @throws {ReadOnlyError} */
  unsilence(id: string): Promise<boolean>;
  /** Whether a silence outlives this process, and is known to the others. @throws {NotConfiguredError} */
  assertKept(): void;
}

export function createAlertService(options: {
  readonly monitor: () => Monitor;
  readonly audit: AuditTrail;
  readonly readOnly: boolean;
  readonly kept: boolean;
}): AlertService {
  const { monitor, audit, readOnly, kept } = options;
  return {
    silences: () => monitor().silences(),
    async silence(request) {
      if (readOnly) throw new ReadOnlyError("silencing an alert");
      return audit.run(
        "alert.silence",
        () => monitor().silence(request),
        ({ id, rule, labels, reason, until }) => ({
          id,
          rule,
          labels,
          reason,
          until,
        }),
      );
    },
    async unsilence(id) {
      if (readOnly) throw new ReadOnlyError("ending a silence");
      return audit.run(
        "alert.unsilence",
        () => monitor().unsilence(id),
        (ended) => ({ id, ended }),
      );
    },
    assertKept() {
      if (kept) return;
      throw new NotConfiguredError("a silence would end with this process, and no other would know of it", {
        hint: "Set DB_MONITORING_HISTORY=true, here and where the server runs, or silence it on the server's page.",
      });
    },
  };
}
