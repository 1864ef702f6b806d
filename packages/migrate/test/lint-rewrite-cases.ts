/** A statement whose suggested rewrite is run beside it. */
export interface RewriteCase {
  readonly rule: string;
  readonly original: string;
  /** First version that takes the original, or offers the rewrite. Default 12. */
  readonly since?: number;
  /** Run before either, so that the original can be run at all. */
  readonly first?: string;
  /** What the rewrite leaves to its reader: the rows filled between its first migration and the next. */
  readonly between?: string;
  /** Differences that the server itself makes, as `formatCatalogDifferences` tells them. */
  readonly leaves?: string;
}

const emptied = "delete from t";

/** At least one for every rule that suggests SQL; more where the text of the statement takes another form. */
export const rewriteCases: readonly RewriteCase[] = [
  { rule: "set-not-null", original: "alter table t alter column n set not null" },
  { rule: "add-check-valid", original: "alter table t add constraint c check (n > 0)" },
  { rule: "add-check-valid", original: "alter table t add constraint c check (n > 0) -- always" },
  { rule: "add-fk-valid", original: "alter table t add constraint c foreign key (p_id) references p (id)" },
  {
    rule: "add-fk-valid",
    original: "alter table t add foreign key (p_id) references p (id) on delete cascade deferrable initially deferred",
  },
  { rule: "add-unique-constraint", original: "alter table t add constraint c unique (id, n)" },
  { rule: "add-unique-constraint", original: "alter table t add unique (id, n)" },
  {
    rule: "add-unique-constraint",
    original: "alter table t add constraint c unique nulls not distinct (id, n) include (v) deferrable",
    since: 15,
  },
  { rule: "add-primary-key", original: "alter table seen add primary key (id, i)" },
  { rule: "index-not-concurrent", original: "create index on t (n)" },
  { rule: "index-not-concurrent", original: "create unique index if not exists t_once on t (id, v) include (n)" },
  { rule: "index-not-concurrent", original: "create index on t (lower(v), i)" },
  { rule: "index-not-concurrent", original: "create index on t (n) -- for the list", first: "create table t_n_idx ()" },
  { rule: "concurrent-index-unnamed", original: "create index concurrently on t (n)" },
  { rule: "drop-index-not-concurrent", original: "drop index t_i" },
  { rule: "drop-index-not-concurrent", original: "drop index if exists public.t_i, t_n" },
  { rule: "reindex-not-concurrent", original: "reindex table t" },
  { rule: "reindex-not-concurrent", original: "reindex (verbose) index t_i" },
  { rule: "refresh-matview", original: "refresh materialized view mv" },
  { rule: "add-required-column", original: "alter table t add column a int not null", first: emptied },
  {
    rule: "add-column-volatile-default",
    original: "alter table t add column a uuid default gen_random_uuid()",
  },
  { rule: "add-column-inline-check", original: "alter table t add column a int check (a > 0)" },
  { rule: "add-column-inline-fk", original: "alter table t add column a bigint constraint to_p references p (id)" },
  { rule: "add-column-inline-fk", original: "alter table t add column a bigint references p" },
  { rule: "add-column-inline-unique", original: "alter table t add column a int unique" },
  {
    rule: "detach-not-concurrent",
    original: "alter table part detach partition part_2025",
    since: 14,
    leaves:
      "+ constraint part_2025_at_check on public.part_2025  CHECK (((at IS NOT NULL) AND (at >= '2025-01-01'::date) AND (at < '2026-01-01'::date)))",
  },
  { rule: "domain-check", original: "alter domain plain add constraint low check (value < 9)" },
];
