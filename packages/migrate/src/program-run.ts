import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type Logger, messageOf, type Queryable } from "@db/core";
import type { Kysely } from "kysely";
import { sha256 } from "./checksum.ts";
import { ProgramError, StalePlanError } from "./errors.ts";
import type { MigrationContext, ProgramMigration } from "./program.ts";

/** Runs one part of a program on a session. @throws {ProgramError} when the file cannot be loaded or has no such part */
export async function runProgram(
  source: {
    readonly directory: string;
    readonly file: string;
    readonly checksum: string;
    readonly part: "up" | "down";
  },
  session: Queryable,
  { log, signal }: { readonly log: Logger; readonly signal: AbortSignal },
): Promise<void> {
  const migration = await loadProgram(source);
  const run = migration[source.part];
  if (typeof run !== "function") {
    throw new ProgramError(`${source.file} has no ${source.part}`, {
      hint: `Export a default object with async ${source.part}(context), or a function ${source.part}.`,
    });
  }
  const kysely = await makeKysely(session);
  const context: MigrationContext = {
    sql: (text, values) => session.query(text, values),
    get kysely() {
      if (!kysely) throw new ProgramError("the package kysely is not installed", { hint: "npm install kysely" });
      return kysely;
    },
    log,
    signal,
  };
  await run.call(migration, context);
  if (source.part === "up") await migration.verify?.(context);
}

async function loadProgram(source: Parameters<typeof runProgram>[0]): Promise<Partial<ProgramMigration>> {
  const path = resolve(source.directory, source.file);
  if (sha256(await readFile(path)) !== source.checksum) {
    throw new StalePlanError([`${source.file} was edited since the plan was made`]);
  }
  const url = pathToFileURL(path);
  // Loaded anew once its text changed.
  url.searchParams.set("checksum", source.checksum.slice(0, 16));
  try {
    const loaded = (await import(url.href)) as {
      readonly default?: Partial<ProgramMigration>;
    } & Partial<ProgramMigration>;
    return loaded.default ?? loaded;
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    throw new ProgramError(`${source.file} cannot be loaded: ${messageOf(error)}`, {
      cause: error,
      hint:
        code === "ERR_UNKNOWN_FILE_EXTENSION"
          ? "Node runs TypeScript by itself since 22.18 and 23.6: use such a version, or write .mjs."
          : "Correct the file; types are only stripped, so enums and namespaces of TypeScript cannot be used.",
    });
  }
}

// oxlint-disable-next-line typescript/no-explicit-any
async function makeKysely(session: Queryable): Promise<Kysely<any> | undefined> {
  let library: typeof import("kysely");
  try {
    library = await import("kysely");
  } catch {
    return undefined;
  }
  const { Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } = library;
  const refuse = (): Promise<never> => Promise.reject(new ProgramError("the runner begins and ends the transaction"));
  const connection = {
    async executeQuery(query: { readonly sql: string; readonly parameters: readonly unknown[] }) {
      const result = await session.query(query.sql, query.parameters);
      const { rowCount } = result as { readonly rowCount?: number | null };
      const affected = typeof rowCount === "number" ? { numAffectedRows: BigInt(rowCount) } : {};
      return { rows: result.rows as never[], ...affected };
    },
    streamQuery: (): never => {
      throw new ProgramError("a migration's Kysely does not stream");
    },
  };
  return new Kysely({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new PostgresQueryCompiler(),
      createDriver: () => ({
        init: () => Promise.resolve(),
        acquireConnection: () => Promise.resolve(connection),
        releaseConnection: () => Promise.resolve(),
        beginTransaction: refuse,
        commitTransaction: refuse,
        rollbackTransaction: refuse,
        destroy: () => Promise.resolve(),
      }),
    },
  });
}
