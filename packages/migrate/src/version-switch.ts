import { type DatabaseLike, quoteIdentifier, toDatabase } from "@db/core";
import { MigrationOptionsError } from "./errors.ts";

/** Which shape of the schema new sessions see. */
export interface VersionSwitch {
  /** The schema of views to put first; null goes back to the base schema alone. */
  readonly viewSchema: string | null;
  /** Schema of the tables themselves. */
  readonly baseSchema: string;
  /** Only for this role. Default: every role of the database. */
  readonly role?: string;
}

/**
 * Switches new sessions to another version of the schema, as a blue-green deployment does: one statement, no lock on
 * any table. Sessions that are open keep what they have.
 * @returns the search_path in force before for the same role or database; null when none was set
 * @throws {MigrationOptionsError} when there is no such schema
 */
export async function switchVersion(db: DatabaseLike, target: VersionSwitch): Promise<{ previous: string | null }> {
  const { viewSchema, baseSchema, role } = target;
  return toDatabase(db).withSession(async (session) => {
    const wanted = viewSchema === null ? [baseSchema] : [viewSchema, baseSchema];
    const found = await session.query<{ name: string; database: string; previous: string | null }>(switchSql, [
      wanted,
      role ?? null,
    ]);
    const missing = wanted.filter((name) => !found.rows.some((row) => row.name === name));
    if (missing.length > 0) {
      throw new MigrationOptionsError(`there is no schema ${missing.join(" and no schema ")}`, {
        hint: "Name the schema of views that expand made, <schema>_v<version>, or the base schema to go back.",
      });
    }
    const [first] = found.rows;
    const database = quoteIdentifier(first?.database ?? "");
    const subject =
      role === undefined ? `database ${database}` : `role ${quoteIdentifier(role)} in database ${database}`;
    await session.query(`alter ${subject} set search_path to ${wanted.map(quoteIdentifier).join(", ")}`);
    return { previous: first?.previous?.replace(/^search_path=/, "") ?? null };
  });
}

const switchSql = /* sql */ `
  select n.nspname as name, current_database() as database,
         (select s.setting from pg_catalog.pg_db_role_setting d cross join lateral unnest(d.setconfig) s (setting)
           where d.setdatabase = (select oid from pg_catalog.pg_database where datname = current_database())
             and d.setrole = coalesce((select oid from pg_catalog.pg_roles where rolname = $2), 0)
             and s.setting like 'search_path=%') as previous
    from pg_catalog.pg_namespace n where n.nspname = any ($1::text[])`;
