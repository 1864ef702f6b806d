import type { RuleCase } from "./lint-harm.ts";

const twinIndexes = `select count(*)::int as answer from pg_index
  where indrelid = 't'::regclass and indkey::text = (select indkey::text from pg_index where indexrelid = 't_i'::regclass)`;

/** On indexes, whole tables, and what running code relies on. */
export const indexCases: readonly RuleCase[] = [
  {
    rule: "index-not-concurrent",
    fires: "create index on t (n)",
    silent: "create table fresh (n int); create index on fresh (n)",
    harm: { lock: "Share" },
  },
  {
    rule: "drop-index-not-concurrent",
    fires: "drop index t_i",
    silent: "comment on index t_i is 'kept'",
    harm: { lock: "AccessExclusive" },
  },
  {
    rule: "concurrent-index-unnamed",
    fires: "create index concurrently on t (n)",
    silent: "create index concurrently t_more on t (n)",
    harm: "twice",
  },
  {
    rule: "duplicate-index",
    fires: "create index t_again on t (i)",
    silent: "create index t_other on t (i, n)",
    harm: { asks: twinIndexes, answer: 2 },
  },
  {
    rule: "reindex-not-concurrent",
    fires: "reindex table t",
    silent: "analyze t",
    harm: { lock: "Share" },
  },
  { rule: "vacuum-full-cluster", fires: "cluster t using t_i", silent: "analyze t", harm: "rewrite" },
  {
    rule: "refresh-matview",
    fires: "refresh materialized view mv",
    silent: "refresh materialized view concurrently mv",
    harm: { lock: "AccessExclusive", on: "public.mv" },
  },
  {
    rule: "set-storage-rewrite",
    fires: "alter table t set unlogged",
    silent: "alter table t set (fillfactor = 80)",
    harm: "rewrite",
  },
  {
    rule: "drop-column",
    fires: "alter table t drop column n",
    silent: "alter table t alter column n drop default",
    harm: {
      asks: "select count(*)::int as answer from pg_attribute where attrelid = 't'::regclass and attname = 'n'",
      answer: 0,
    },
  },
  {
    rule: "drop-object",
    fires: "drop table feeling",
    silent: "create table fresh (); drop table fresh; drop view shown; create view shown as select id, v from seen",
    harm: { asks: "select to_regclass('feeling') is null as answer", answer: true },
  },
  { rule: "truncate", fires: "truncate t", silent: "delete from t where i = 0", harm: "rewrite" },
  {
    rule: "rename",
    fires: "alter table t rename column n to m",
    silent: "comment on column t.n is 'm'",
    harm: { lock: "AccessExclusive" },
  },
  {
    rule: "set-schema",
    fires: "create schema s; alter table t set schema s",
    silent: "create schema s",
    harm: { lock: "AccessExclusive" },
  },
  {
    rule: "concurrently-in-tx",
    fires: "-- migrate:up transaction=true\ncreate index concurrently t_more on t (n)",
    silent: "-- migrate:up\ncreate index concurrently t_more on t (n)",
    harm: "error",
  },
  {
    rule: "enum-add-and-use",
    fires: "alter type mood add value 'glad'; insert into feeling values ('glad')",
    silent: "alter type mood add value 'glad'; insert into feeling values ('calm')",
    harm: "error",
  },
  {
    rule: "ddl-and-backfill",
    fires: "alter table t add column a int; update t set a = 1 where i > 0",
    silent: "update t set n = 3 where i > 0",
    harm: { lock: "AccessExclusive" },
  },
  {
    rule: "change-all-rows",
    fires: "update t set n = 2",
    silent: "update t set n = 2 where i = 1",
    harm: { asks: "select count(*)::int as answer from t where n = 2", answer: 500 },
  },
];
