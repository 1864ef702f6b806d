import type { Queryable } from "@db/core";

/** A foreign key taken off for the load: checked once over all rows instead of once per row. */
export interface ForeignKey {
  /** Qualified and quoted. */
  readonly table: string;
  /** Quoted. */
  readonly name: string;
  readonly definition: string;
}

/** The foreign keys of these tables, in a stable order. */
export async function foreignKeysOf(db: Queryable, tables: readonly string[]): Promise<ForeignKey[]> {
  const { rows } = await db.query<ForeignKey>(
    `select c.conrelid::regclass::text as table, quote_ident(c.conname) as name,
            pg_get_constraintdef(c.oid) as definition
       from pg_catalog.pg_constraint c
      where c.contype = 'f' and c.conparentid = 0
        and c.conrelid in (select to_regclass(quote_ident(name)) from unnest($1::text[]) as name)
      order by 1, 2`,
    [tables],
  );
  return rows;
}

/** Drops them, inside the load's transaction: nobody ever sees the tables without. */
export async function setAsideForeignKeys(db: Queryable, keys: readonly ForeignKey[]): Promise<void> {
  for (const key of keys) await db.query(`alter table ${key.table} drop constraint ${key.name}`);
}

/** Puts them back as they were, which checks every row with one join each. */
export async function restoreForeignKeys(
  db: Queryable,
  keys: readonly ForeignKey[],
  onKey: (done: number) => void,
): Promise<void> {
  for (const [i, key] of keys.entries()) {
    await db.query(`alter table ${key.table} add constraint ${key.name} ${key.definition}`);
    onKey(i + 1);
  }
}
