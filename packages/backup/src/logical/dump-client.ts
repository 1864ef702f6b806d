import { execFile } from "node:child_process";
import { join } from "node:path";
import { AbortedError, messageOf } from "@db/core";
import { ClientMissingError, DumpFailedError } from "../errors.ts";

/** A folder of PostgreSQL programs found on this machine, as `@db/embedded`'s `findBinaries` tells them. */
export interface DumpClient {
  readonly directory: string;
  readonly major: number;
  /** Names of the programs there are. */
  readonly tools: readonly string[];
  /** Why it cannot be used. */
  readonly problem?: string | undefined;
}

/**
 * The oldest programs that are new enough: newer ones write what an older server does not understand.
 * @param major what they must be able to read
 * @throws {ClientMissingError} that names what to install
 */
export function chooseClient(
  clients: readonly DumpClient[],
  program: "pg_dump" | "pg_restore",
  major: number,
): DumpClient {
  const able = clients.filter((client) => client.problem === undefined && client.tools.includes(program));
  const fit = able.filter((client) => client.major >= major).toSorted((a, b) => a.major - b.major)[0];
  if (fit) return fit;
  const newest = able.toSorted((a, b) => b.major - a.major)[0];
  const found = newest === undefined ? "none was found" : `the newest here is ${newest.major}`;
  throw new ClientMissingError(`${program} of PostgreSQL ${major} or newer is needed, and ${found}`, {
    hint: `Install the client programs: postgresql-client-${major} (Debian, Ubuntu), postgresql${major} (Red Hat), libpq (Homebrew).`,
  });
}

/**
 * Runs a client program to its end. The password goes by the environment, never by the command line.
 * @throws {DumpFailedError} with the program's own last words @throws {AbortedError}
 */
export function runClient(
  client: DumpClient,
  program: "pg_dump" | "pg_restore",
  url: string,
  args: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const target = new URL(url);
  const password = decodeURIComponent(target.password);
  target.password = "";
  const env = {
    PATH: client.directory,
    LC_ALL: "C",
    PGPASSWORD: password,
    PGAPPNAME: "db-backup",
    PGCONNECT_TIMEOUT: "10",
  };
  const words = ["--no-password", `--dbname=${target.href}`, ...args];
  const options = { env, signal, maxBuffer: 64 * 1024 * 1024, killSignal: "SIGTERM" } as const;
  return new Promise((resolve, reject) => {
    execFile(join(client.directory, program), words, options, (error, _stdout, stderr) => {
      if (!error) return resolve();
      if (signal?.aborted) return reject(new AbortedError(`${program} was aborted`, { cause: signal.reason }));
      // The first error is the cause; later lines may hold rows.
      const lines = stderr.trim().split("\n");
      const said = lines.find((line) => /(error|fatal): /i.test(line)) ?? lines[0] ?? messageOf(error);
      const words = said.replace(/^pg_(dump|restore): (error: )?/, "");
      const hint = hints.find(([pattern]) => pattern.test(words))?.[1] ?? "Mend that and run it again.";
      reject(new DumpFailedError(`${program} failed: ${words}`, { hint, cause: error }));
    });
  });
}

const hints: readonly (readonly [RegExp, string])[] = [
  [
    // pg_dump waits for locks with a statement timeout.
    /(lock|statement) timeout/,
    "Somebody holds a lock on a table: see pg_locks, and run it again or give it a longer lockTimeoutMs.",
  ],
  [
    /permission denied/,
    "Let the role read everything: grant pg_read_all_data to it (14 and newer), or select on all tables.",
  ],
  [/row-level security/, "Let the role bypass row security, or the dump would not be whole: alter role … bypassrls."],
  [/No space left/, "Free space in the work directory, or name another one."],
];
