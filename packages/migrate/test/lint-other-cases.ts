import type { RuleCase } from "./lint-harm.ts";

const indexedForeignKeys = `select count(*)::int as answer from pg_constraint f
  join pg_index i on i.indrelid = f.conrelid and i.indkey[0] = f.conkey[1] where f.contype = 'f'`;

/** On transactions, locks, names and types. */
export const otherCases: readonly RuleCase[] = [
  {
    rule: "missing-fk-index",
    fires: "alter table t add constraint c foreign key (p_id) references p (id) not valid",
    silent: "create table child (p_id bigint references p (id)); create index on child (p_id)",
    harm: { asks: indexedForeignKeys, answer: 0 },
  },
  {
    rule: "change-type-with-check",
    fires:
      "alter table t add constraint c check (v <> '') not valid; alter table t validate constraint c; alter table t alter column v type varchar(80)",
    silent: "alter table t alter column v type varchar(80)",
    harm: "scan",
  },
  {
    rule: "change-type-and-not-null",
    fires: "alter table t alter column v type varchar(80), alter column v set not null",
    silent: "alter table t alter column v type varchar(80)",
    harm: "scan",
  },
  {
    rule: "drop-constraint",
    fires: "alter table t drop constraint t_pkey",
    silent: "alter table t drop constraint late",
    harm: { index: "public.t" },
  },
  {
    rule: "drop-not-null",
    fires: "alter table part_2026 alter column at drop not null",
    silent: "alter table part_2026 alter column at set default now()",
    harm: {
      asks: "select attnotnull as answer from pg_attribute where attrelid = 'part_2026'::regclass and attname = 'at'",
      answer: false,
    },
  },
  {
    rule: "concurrent-index-corrupt",
    fires: "create index concurrently t_more on t (n)",
    silent: "create index t_more on t (n)",
    harm: "none",
    serverVersion: 140_002,
  },
  {
    rule: "index-too-wide",
    fires: "create index t_wide on t (id, i, n, checked)",
    silent: "create index t_wide on t (id, i) include (n, checked)",
    harm: { asks: "select indnkeyatts::int as answer from pg_index where indexrelid = 't_wide'::regclass", answer: 4 },
  },
  {
    rule: "unique-may-fail",
    fires: "create unique index t_once on t (n)",
    silent: "create index t_often on t (n)",
    harm: "error",
  },
  {
    rule: "detach-not-concurrent",
    fires: "alter table part detach partition part_2025",
    silent: "alter table part detach partition part_2025 concurrently",
    harm: { lock: "AccessExclusive", on: "public.part" },
  },
  {
    rule: "attach-partition-scan",
    fires: "alter table part attach partition part_2026 for values from ('2026-01-01') to ('2027-01-01')",
    silent: "alter table part attach partition part_2027 for values from ('2027-01-01') to ('2028-01-01')",
    harm: "scan",
  },
  {
    rule: "lock-table",
    fires: "lock table t",
    silent: "create table fresh (); lock table fresh",
    harm: { lock: "AccessExclusive" },
  },
  {
    rule: "trigger-lock",
    fires: "alter table t disable trigger all",
    silent: "alter table t set (autovacuum_enabled = false)",
    harm: { lock: "ShareRowExclusive" },
  },
  {
    rule: "rls-without-policy",
    fires: "alter table t enable row level security",
    silent: "create policy mine on t using (true); alter table t enable row level security",
    harm: { hides: "t" },
  },
  {
    rule: "many-tables-locked",
    fires: "alter table t add column a int; alter table p add column a int",
    silent: "alter table t add column a int; alter table t add column b int",
    harm: { lock: "AccessExclusive", on: "public.p" },
  },
  {
    rule: "missing-lock-timeout",
    fires: "alter table t add column a int",
    silent: "set lock_timeout = '2s'; alter table t add column a int",
    harm: { asks: "select current_setting('lock_timeout') as answer", answer: "0" },
  },
  {
    rule: "view-breaking-replace",
    fires: "create or replace view shown as select v, id from seen",
    silent: "create or replace view shown as select id, v, i from seen",
    harm: "error",
  },
  {
    rule: "enum-position",
    fires: "alter type mood add value 'glad'",
    silent: "alter type mood add value 'glad' before 'calm'",
    harm: {
      asks: "select enumlabel as answer from pg_enum where enumtypid = 'mood'::regtype order by enumsortorder desc limit 1",
      answer: "glad",
    },
  },
  {
    rule: "domain-check",
    fires: "alter domain plain add constraint low check (value < 9)",
    silent: "alter domain plain add constraint low check (value < 9) not valid",
    harm: { lock: "Share" },
  },
  {
    rule: "create-domain-check",
    fires: "create domain small as int check (value < 9); alter table t add column a small",
    silent: "create domain small as int; alter table t add column a small",
    harm: "rewrite",
  },
  {
    rule: "opaque-sql",
    fires: "do 'begin alter table t alter column i type bigint; end'",
    silent: "select 1",
    harm: "rewrite",
  },
  {
    rule: "not-idempotent",
    fires: "create index concurrently t_more on t (n)",
    silent: "create index concurrently if not exists t_more on t (n)",
    harm: "once",
  },
  {
    rule: "unbatched-change",
    fires: "update t set n = 2 where n = 1",
    silent: "update feeling set m = 'calm' where m is null",
    harm: { asks: "select count(*)::int as answer from t where n = 2", answer: 500 },
  },
  {
    rule: "create-table-again",
    fires: "drop table feeling; create table feeling (m mood)",
    silent: "create table if not exists feeling (m mood)",
    harm: { lock: "AccessExclusive", on: "public.feeling" },
  },
  {
    rule: "duplicate-column",
    fires: "update t set n = 1, n = 2 where id = 1",
    silent: "update t set n = 1, i = 2 where id = 1",
    harm: "error",
  },
  {
    rule: "prefer-bigint",
    fires: "create table fresh (a int)",
    silent: "create table fresh (a bigint)",
    harm: { refuses: "insert into fresh values (3000000000)" },
  },
  {
    rule: "prefer-text",
    fires: "create table fresh (a varchar(10))",
    silent: "create table fresh (a text)",
    harm: { refuses: "insert into fresh values ('eleven char')" },
  },
  {
    rule: "prefer-timestamptz",
    fires: "create table fresh (a timestamp)",
    silent: "create table fresh (a timestamptz)",
    harm: {
      asks: "insert into fresh values ('2026-01-01 00:00+02') returning (a = '2026-01-01 00:00+02'::timestamptz) as answer",
      answer: false,
    },
  },
  {
    rule: "prefer-jsonb",
    fires: "create table fresh (a json)",
    silent: "create table fresh (a jsonb)",
    harm: { refuses: "select distinct a from fresh" },
  },
  {
    rule: "avoid-char",
    fires: "create table fresh (a char(5))",
    silent: "create table fresh (a text)",
    harm: { asks: "insert into fresh values ('a') returning octet_length(a) as answer", answer: 5 },
  },
  {
    rule: "prefer-identity",
    fires: "create table fresh (a bigserial)",
    silent: "create table fresh (a bigint generated always as identity)",
    harm: {
      asks: "select attidentity::text as answer from pg_attribute where attrelid = 'fresh'::regclass and attname = 'a'",
      answer: "",
    },
  },
  {
    rule: "create-table-no-key",
    fires: "create table fresh (a bigint)",
    silent: "create table fresh (a bigint primary key)",
    harm: {
      asks: "select count(*)::int as answer from pg_index where indrelid = 'fresh'::regclass and indisprimary",
      answer: 0,
    },
  },
  {
    rule: "unnamed-constraint",
    fires: "alter table t add check (n > 0) not valid",
    silent: "alter table t add constraint c check (n > 0) not valid",
    harm: { asks: "select count(*)::int as answer from pg_constraint where conname = 'c'", answer: 0 },
  },
  {
    rule: "create-extension",
    fires: "create extension pg_trgm",
    silent: "select 1",
    harm: { deniedTo: "lint_reader" },
  },
  {
    rule: "unqualified-name",
    fires: "create schema s; set local search_path = s, public; create table fresh (a bigint)",
    silent: "create schema s; set local search_path = s, public; create table public.fresh (a bigint)",
    harm: {
      asks: "select relnamespace::regnamespace::text as answer from pg_class where relname = 'fresh'",
      answer: "s",
    },
  },
  {
    rule: "naming",
    fires: 'create table "Fresh" (a bigint)',
    silent: "create table fresh (a bigint)",
    harm: { asks: "select to_regclass('Fresh') is null as answer", answer: true },
  },
  {
    rule: "column-alignment",
    fires: "create table fresh (a boolean, b bigint, c boolean, d bigint, e boolean, f bigint)",
    silent: "create table fresh (b bigint, d bigint, f bigint, a boolean, c boolean, e boolean)",
    harm: { rowBytesOver: 53 },
  },
  {
    rule: "identifier-too-long",
    fires: `create table fresh_${"x".repeat(60)} (a int)`,
    silent: `create table fresh_${"x".repeat(57)} (a int)`,
    harm: { says: "will be truncated" },
  },
];
