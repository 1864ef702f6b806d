import type { StatusView } from "./view.ts";

const asOf = "2026-11-21T10:14:03.000Z";
const wave = (base: number, swing: number): number[] =>
  Array.from({ length: 60 }, (_, index) => base + swing * Math.sin(index / 6) + swing * 0.3 * Math.cos(index * 1.7));

/** A view with something in every part, for previews and tests: a busy database with two findings and two notes. */
export const sampleView: StatusView = {
  asOf,
  ageSeconds: 4,
  status: "warn",
  title: "Chanuka",
  environment: "development",
  readOnly: false,
  server: {
    version: "18.4",
    role: "primary",
    database: "chanuka",
    startedAt: "2026-11-21T09:02:00.000Z",
    sizeBytes: 214_000_000,
  },
  findings: [
    {
      id: "PG-LOCK-01",
      severity: "critical",
      title: "1 session waits for a lock for 42 s",
      since: "2026-11-21T10:13:21.000Z",
      hint: "Session 4711 holds it in an open transaction; look at what it does, then cancel it.",
      command: "db inspect blocking",
    },
    {
      id: "PG-PK-01",
      severity: "warn",
      title: "table public.engagement_archive has no primary key",
      subject: "public.engagement_archive",
      hint: "Without one, rows cannot be addressed and logical replication cannot apply updates.",
      command: "alter table public.engagement_archive add column id bigint generated always as identity primary key",
    },
    {
      id: "PG-CACHE-01",
      severity: "info",
      title: "cache hit ratio is 94.1 %",
      hint: "Worth a look when reads are slow.",
    },
    {
      id: "PG-MEM-01",
      severity: "info",
      title: "shared_buffers is 128 MB",
      hint: "A quarter of memory is usual.",
      command: "alter system set shared_buffers = '6GB'",
    },
  ],
  connections: {
    pool: { used: 3, idle: 4, waiting: 0, max: 10 },
    byState: [
      { state: "idle", count: 9 },
      { state: "active", count: 3 },
      { state: "idle in transaction", count: 1 },
    ],
    total: 13,
    max: 97,
    chart: {
      title: "Connections",
      unit: "sessions",
      from: "2026-11-21T10:04:03.000Z",
      to: asOf,
      series: [
        { label: "server", points: wave(12, 4) },
        { label: "pool in use", points: wave(4, 3) },
      ],
      limit: { label: "max", value: 97 },
    },
  },
  activity: {
    transactionsPerSecond: 214.2,
    cacheHitRatio: 0.9412,
    chart: {
      title: "Transactions",
      unit: "per second",
      from: "2026-11-21T10:04:03.000Z",
      to: asOf,
      series: [{ label: "committed", points: [...Array.from({ length: 8 }, () => null), ...wave(210, 40).slice(8)] }],
    },
  },
  topQueries: {
    note: null,
    rows: [
      {
        id: "1",
        text: "select b.id, b.title, b.status, count(e.id) as engagements\n  from bills b left join engagement e on e.bill_id = b.id\n where b.status = $1 and b.county = $2\n group by b.id order by engagements desc limit $3",
        calls: 1204,
        totalMs: 93_200,
        meanMs: 77.4,
        rows: 24_080,
        share: 0.61,
      },
      {
        id: "2",
        text: "insert into engagement (bill_id, user_id, kind, created_at) values ($1, $2, $3, $4)",
        calls: 180_233,
        totalMs: 31_400,
        meanMs: 0.17,
        rows: 180_233,
        share: 0.21,
      },
      {
        id: "3",
        text: "select <b>not markup</b> from users where email = $1",
        calls: 12_004,
        totalMs: 2_400,
        meanMs: 0.2,
        rows: 12_004,
        share: 0.02,
      },
    ],
  },
  replication: {
    standbys: [{ name: "replica_1", state: "streaming", lagMs: 3.2, lagBytes: 8_192, sync: "async" }],
    slots: [{ name: "replica_1", active: true, retainedBytes: 16_384 }],
  },
  backups: {
    repository: ".db/backups",
    rows: [
      {
        label: "20261121-101020F",
        type: "full",
        stoppedAt: "2026-11-21T10:10:24.000Z",
        sizeBytes: 236_000_000,
        storedBytes: 51_000_000,
        encrypted: true,
        status: "ok",
      },
    ],
    lastDrill: { at: "2026-11-21T10:10:33.000Z", ok: true, tables: 14, durationMs: 6_400 },
  },
  migrations: { applied: 5, pending: 0, latest: "20260301090000 add_search", latestAt: "2026-11-21T10:09:00.000Z" },
  quality: {
    findings: [
      {
        id: "DATA-RANGE",
        severity: "critical",
        title: "a disclosed amount is not below zero: 12 of 24,111 rows",
        hint: "Check the sign against the form.",
      },
      { id: "DATA-PATTERN", severity: "warn", title: "an e-mail address can be written to: 40 of 5,000 rows" },
    ],
    score: 96.4,
    rules: 24,
    failed: 5,
    at: "2026-11-21T10:10:40.000Z",
  },
  indexes: {
    findings: [{ id: "INDEX-UNUSED", severity: "info", title: "users_display_name_idx was never scanned" }],
    recommendations: [
      {
        name: "engagement_user_id_idx",
        table: "public.engagement",
        why: "filters by user_id read 500,000 rows to return 40",
        command: "db optimize apply engagement_user_id_idx",
      },
    ],
    unused: 2,
    duplicates: 0,
    lastApplied: { name: "engagement_bill_id_idx", beforeMs: 86.2, afterMs: 1.4, query: "bills by engagement" },
  },
  steps: [
    {
      name: "config",
      title: "Configuration",
      status: "done",
      detail: "development profile, 31 values",
      durationMs: 12,
    },
    { name: "backup", title: "Backup", status: "done", detail: "225 MB stored as 49 MB, encrypted", durationMs: 4_100 },
    { name: "seed", title: "Example data", status: "skipped", detail: "already loaded", durationMs: 8 },
  ],
};
