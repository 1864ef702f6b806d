import type { RuleCase } from "./lint-harm.ts";

/** On columns and constraints of a table. */
export const columnCases: readonly RuleCase[] = [
  {
    rule: "add-column-volatile-default",
    fires: "alter table t add column a uuid default gen_random_uuid()",
    silent: "alter table t add column a timestamptz default now()",
    harm: "rewrite",
  },
  {
    rule: "add-column-serial-identity",
    fires: "alter table t add column a bigint generated always as identity",
    silent: "alter table t add column a bigint",
    harm: "rewrite",
  },
  {
    rule: "add-column-generated-stored",
    fires: "alter table t add column a int generated always as (i * 2) stored",
    silent: "alter table t add column a int generated always as (i * 2) virtual",
    harm: "rewrite",
  },
  {
    rule: "add-column-constrained-domain",
    fires: "alter table t add column a positive",
    silent: "alter table t add column a plain",
    harm: "rewrite",
  },
  {
    rule: "add-column-inline-check",
    fires: "alter table t add column a int check (a > 0)",
    silent: "alter table t add column a int",
    harm: "scan",
  },
  {
    rule: "add-column-inline-fk",
    fires: "alter table t add column a bigint references p (id)",
    silent: "alter table t add column a bigint",
    harm: { lock: "ShareRowExclusive", on: "public.p" },
  },
  {
    rule: "add-column-inline-unique",
    fires: "alter table t add column a int unique",
    silent: "alter table t add column a int",
    harm: { asks: "select count(*)::int as answer from pg_index where indrelid = 't'::regclass", answer: 5 },
  },
  {
    rule: "add-required-column",
    fires: "alter table t add column a int not null",
    silent: "alter table t add column a int not null default 1",
    harm: "error",
  },
  {
    rule: "set-not-null",
    fires: "alter table t alter column n set not null",
    silent: "alter table t alter column checked set not null",
    harm: "scan",
  },
  {
    rule: "change-type-rewrite",
    fires: "alter table t alter column i type bigint",
    silent: "alter table t alter column v type varchar(80)",
    harm: "rewrite",
  },
  {
    rule: "add-check-valid",
    fires: "alter table t add constraint c check (n > 0)",
    silent: "alter table t add constraint c check (n > 0) not valid",
    harm: "scan",
  },
  {
    rule: "add-fk-valid",
    fires: "alter table t add constraint c foreign key (p_id) references p (id)",
    silent: "alter table t add constraint c foreign key (p_id) references p (id) not valid",
    harm: "scan",
  },
  {
    rule: "add-unique-constraint",
    fires: "alter table t add constraint c unique (id, n)",
    silent: "alter table t add constraint c unique using index t_n",
    harm: { asks: "select count(*)::int as answer from pg_index where indrelid = 't'::regclass", answer: 5 },
  },
  {
    rule: "add-primary-key",
    fires: "alter table t drop constraint t_pkey, add primary key (i)",
    silent: "alter table t drop constraint t_pkey, add primary key using index t_id",
    harm: "scan",
  },
  {
    rule: "add-exclusion",
    fires: "alter table t add constraint c exclude using btree (id with =)",
    silent: "alter table t add constraint c check (n > 0) not valid",
    harm: { asks: "select count(*)::int as answer from pg_index where indrelid = 't'::regclass", answer: 5 },
  },
  {
    rule: "validate-in-same-tx",
    fires: "alter table t add constraint c check (n > 0) not valid; alter table t validate constraint c",
    silent: "alter table t validate constraint late",
    harm: { lock: "AccessExclusive" },
  },
];
