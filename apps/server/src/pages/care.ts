import { formatDuration } from "@db/core";
import type { Part } from "@db/dashboard";
import type { PageContext } from "./known.ts";

/** What can be restored, and the proof. */
export function backupsPage(context: PageContext): readonly Part[] {
  const { backups, lastDrill, snapshot, may } = context;
  const run = may("backups.run")
    ? [{ label: "Take a backup", about: "Take a backup of the whole cluster", path: "api/admin/backups", args: {} }]
    : [];
  const drill = may("drills.run")
    ? [{ label: "Restore on trial", about: "Restore on trial: the newest backup", path: "api/admin/drills", args: {} }]
    : [];
  const [newest] = backups ?? [];
  if (!backups || !newest) {
    return [
      {
        id: "backups",
        title: "Backups",
        wide: true,
        actions: run,
        empty: {
          text: backups ? "There is no backup in the repository." : "The repository was not read yet.",
          command: "db backup run",
        },
      },
    ];
  }
  const now = Date.parse(snapshot.asOf);
  const ageSeconds = Math.max(0, (now - Date.parse(newest.stoppedAt)) / 1_000);
  const proved = lastDrill?.details["ok"] === true;
  return [
    {
      id: "proof",
      title: "If it were needed now",
      wide: true,
      lead: lastDrill
        ? proved
          ? {
              tone: "good",
              word: "Proved",
              text: `${String(lastDrill.details["label"])} was restored, started and compared in ${formatDuration(lastDrill.durationMs)}.`,
            }
          : { tone: "bad", word: "Last restore failed", text: "Look at what the drill says before it is needed." }
        : {
            tone: "warn",
            word: "Never restored",
            text: "A backup that was never restored is a hope. Restore one on trial.",
          },
      facts: [
        {
          label: "newest backup (most that is lost without WAL)",
          value: ageSeconds,
          kind: "seconds",
          ...(ageSeconds > 26 * 3_600 && { tone: ageSeconds > 7 * 86_400 ? "bad" : "warn" }),
        },
        { label: "last restore on trial took", value: lastDrill?.durationMs ?? null, kind: "milliseconds" },
        { label: "last restore on trial", value: lastDrill?.at ?? null, kind: "time" },
        { label: "backups kept", value: backups.length, kind: "count" },
        { label: "stored", value: backups.reduce((sum, { storedBytes }) => sum + storedBytes, 0), kind: "bytes" },
      ],
      actions: [...run, ...drill],
      ...(drill.length === 0 && !proved && { command: "db restore drill" }),
    },
    {
      id: "calendar",
      title: "Five weeks",
      note: "backups taken each day; a ring says one was read back whole",
      wide: true,
      calendar: { days: calendarOf(backups, now) },
    },
    {
      id: "backups",
      title: "Backups",
      wide: true,
      table: {
        caption: "Backups, newest first",
        columns: [
          { key: "label", label: "Backup", kind: "text" },
          { key: "type", label: "Type", kind: "text" },
          { key: "status", label: "State", kind: "badge" },
          { key: "stoppedAt", label: "Taken", kind: "time" },
          { key: "bytes", label: "Data", kind: "bytes" },
          { key: "storedBytes", label: "Stored", kind: "bytes" },
          { key: "encrypted", label: "Encrypted", kind: "flag" },
          { key: "verifiedAt", label: "Read back", kind: "time" },
        ],
        rows: backups.slice(0, 60).map((each) => ({
          key: each.label,
          cells: {
            label: each.label,
            type: each.type,
            status: each.status === "complete" ? "good:complete" : `bad:${each.status}`,
            stoppedAt: each.stoppedAt,
            bytes: each.bytes,
            storedBytes: each.storedBytes,
            encrypted: each.encrypted,
            verifiedAt: each.verifiedAt,
          },
        })),
      },
    },
  ];
}

function calendarOf(
  backups: NonNullable<PageContext["backups"]>,
  now: number,
): { date: string; backups: number; verified: boolean }[] {
  return Array.from({ length: 35 }, (_, index) => {
    const date = new Date(now - (34 - index) * 86_400_000).toISOString().slice(0, 10);
    const taken = backups.filter(({ stoppedAt }) => stoppedAt.startsWith(date));
    return { date, backups: taken.length, verified: taken.some(({ verifiedAt }) => verifiedAt !== null) };
  });
}

/** What was changed when, and what is pending. */
export function migrationsPage({ migrations, may }: PageContext): readonly Part[] {
  if (!migrations)
    return [
      {
        id: "migrations",
        title: "Migrations",
        wide: true,
        empty: {
          text: "The history was not read yet, or the folder of migrations is not there.",
          command: "db migrate status",
        },
      },
    ];
  const { applied, pending } = migrations;
  const tones: Readonly<Record<string, string>> = {
    applied: "good",
    pending: "warn",
    failed: "bad",
    interrupted: "bad",
    changed: "warn",
    missing: "warn",
  };
  return [
    {
      id: "migrations",
      title: "Migrations",
      note: "they stand as marks on every chart",
      wide: true,
      facts: [
        { label: "applied", value: applied, kind: "count" },
        { label: "pending", value: pending, kind: "count", ...(pending > 0 && { tone: "warn" }) },
        { label: "newest", value: migrations.current, kind: "text" },
      ],
      ...(pending > 0 &&
        (may("migrations.apply")
          ? {
              actions: [
                { label: "Apply", about: "Apply the pending migrations", path: "api/admin/migrations", args: {} },
              ],
            }
          : { command: "db migrate plan" })),
      ...(migrations.findings.length > 0 && { findings: migrations.findings }),
      ...(migrations.migrations.length === 0
        ? { empty: { text: "There is no migration yet. Make the first one:", command: "db migrate new add_something" } }
        : {
            table: {
              caption: "Migrations, newest first",
              columns: [
                { key: "id", label: "Migration", kind: "text" },
                { key: "state", label: "State", kind: "badge" },
                { key: "appliedAt", label: "Applied", kind: "time" },
                { key: "durationMs", label: "Took", kind: "milliseconds" },
                { key: "appliedBy", label: "By", kind: "text" },
              ],
              rows: migrations.migrations
                .toReversed()
                .slice(0, 100)
                .map((each) => ({
                  key: each.id,
                  cells: {
                    id: each.id,
                    state: `${tones[each.state] ?? "info"}:${each.state}`,
                    appliedAt: each.appliedAt,
                    durationMs: each.durationMs,
                    appliedBy: each.appliedBy,
                  },
                })),
            },
          }),
    },
  ];
}

/** Rules that the data keeps or breaks. */
export function qualityPage({ lastValidation, mainJob }: PageContext): readonly Part[] {
  const findings = mainJob?.steps.find(({ name }) => name === "quality")?.findings ?? [];
  const { score, rules, failed } = lastValidation?.details ?? {};
  if (!lastValidation || typeof score !== "number") {
    return [
      {
        id: "quality",
        title: "Data quality",
        wide: true,
        empty: {
          text: "No rule was checked yet. Where there are no rules, the data suggests some:",
          command: "db validate suggest",
        },
      },
    ];
  }
  return [
    {
      id: "quality",
      title: "Data quality",
      wide: true,
      facts: [
        {
          label: "score of 100",
          value: score,
          kind: "count",
          tone: score >= 99 ? "good" : score >= 90 ? "warn" : "bad",
        },
        { label: "rules", value: Number(rules), kind: "count" },
        { label: "broken", value: Number(failed), kind: "count", ...(Number(failed) > 0 && { tone: "warn" }) },
        { label: "checked", value: lastValidation.at, kind: "time" },
      ],
      findings,
      command: "db validate",
    },
  ];
}
