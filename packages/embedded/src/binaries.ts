import { access, constants, readdir, realpath } from "node:fs/promises";
import path from "node:path";
import { messageOf } from "@db/core";
import { type Account, serverAccount } from "./account.ts";
import { BinariesNotFoundError } from "./errors.ts";
import { npmBinDirectories } from "./npm-binaries.ts";
import { runProgram } from "./program.ts";
import { makeReachable } from "./reach.ts";

/** Where a PostgreSQL was found, in the order of the search. */
export type BinarySource = "setting" | "path" | "system" | "npm" | "cache";

/** One PostgreSQL on this machine. */
export interface Binaries {
  /** The directory of its programs. */
  readonly directory: string;
  readonly source: BinarySource;
  /** Major version, 18; 0 when its programs did not tell. */
  readonly major: number;
  /** Full version as the programs print it: `18.4`, `15.20 (Debian …)`. */
  readonly version: string;
  /** True with `postgres`, `initdb` and `pg_ctl`: it can make and run clusters. */
  readonly server: boolean;
  /** Client programs it has, of `psql pg_dump pg_restore pg_basebackup pg_verifybackup …`. */
  readonly tools: readonly string[];
  /** Why it cannot be used; undefined when it can. */
  readonly problem: string | undefined;
}

/** Where to look for PostgreSQL. */
export interface FindBinariesOptions {
  /** A directory of programs to look at first, and only there when it is given. */
  readonly binDirectory?: string;
  /** True when `binDirectory` is inside a package of npm: completed and copied where its files cannot be read. */
  readonly packaged?: boolean;
  /** The text of the PATH variable; nothing by default. */
  readonly path?: string;
  /** Where `installBinaries` keeps what it fetched; not looked at by default. */
  readonly cacheDirectory?: string;
  /** The account to run servers as when this process is root. Default `postgres`, else `nobody`. */
  readonly account?: string;
}

const suffix = process.platform === "win32" ? ".exe" : "";
const serverTools = ["postgres", "initdb", "pg_ctl"];
const clientTools = [
  "psql",
  "pg_dump",
  "pg_dumpall",
  "pg_restore",
  "pg_basebackup",
  "pg_receivewal",
  "pg_verifybackup",
  "pg_combinebackup",
  "pg_rewind",
  "pg_waldump",
  "pg_controldata",
  "pg_amcheck",
  "pg_checksums",
  "pgbench",
];

/**
 * Every PostgreSQL found, in the order of the search: the setting, PATH, the system's usual places, the npm packages
 * of this platform, the cache. Those that cannot be used are in the list with their `problem`.
 * Costs one start of `postgres --version` per place.
 */
export async function findBinaries(options: FindBinariesOptions = {}): Promise<readonly Binaries[]> {
  const account = await serverAccount(options.account).catch(() => undefined);
  const seen = new Set<string>();
  const places: { readonly directory: string; readonly source: BinarySource }[] = [];
  for (const place of await candidates(options)) {
    const directory = await realBinDirectory(place.directory);
    if (directory === undefined || seen.has(directory)) continue;
    seen.add(directory);
    places.push({ directory, source: place.source });
  }
  return Promise.all(places.map((place) => inspect(place.directory, place.source, account)));
}

/**
 * The PostgreSQL to run: of `version` when given, else the newest; among equals the first of the search.
 * @throws {BinariesNotFoundError} that tells every place looked at
 */
export async function requireBinaries(
  options: FindBinariesOptions & { readonly version?: number } = {},
): Promise<Binaries> {
  const all = await findBinaries(options);
  const usable = all.filter((binaries) => binaries.server && binaries.problem === undefined);
  const { version } = options;
  const chosen =
    version === undefined
      ? usable.toSorted((a, b) => b.major - a.major)[0]
      : usable.find((binaries) => binaries.major === version);
  if (chosen !== undefined) return chosen;
  const searched = all.map(
    (b) => `${b.directory} (${b.source}): ${b.problem ?? (b.server ? `version ${b.version}` : "client programs only")}`,
  );
  const wanted = version === undefined ? "PostgreSQL" : `PostgreSQL ${version}`;
  throw new BinariesNotFoundError(
    `no ${wanted} that can run a server was found${searched.length === 0 ? "" : `; looked at ${searched.join(", ")}`}`,
    {
      searched,
      hint:
        version === undefined
          ? `Reinstall the npm packages with optional dependencies, or install PostgreSQL and put its bin on PATH.`
          : `Fetch it with installBinaries({ version: ${version} }), or install it and name its bin directory.`,
    },
  );
}

/** The path of one program. */
export function programPath(binaries: Binaries, name: string): string {
  return path.join(binaries.directory, name + suffix);
}

async function candidates(options: FindBinariesOptions): Promise<{ directory: string; source: BinarySource }[]> {
  if (options.binDirectory !== undefined) {
    return [{ directory: options.binDirectory, source: options.packaged === true ? "npm" : "setting" }];
  }
  const [system, npm, cache] = await Promise.all([
    systemDirectories(),
    npmBinDirectories(),
    options.cacheDirectory === undefined ? [] : cachedBinDirectories(options.cacheDirectory),
  ]);
  const fromPath = (options.path ?? "").split(path.delimiter).filter((directory) => path.isAbsolute(directory));
  return [
    ...fromPath.map((directory) => ({ directory, source: "path" as const })),
    ...system.map((directory) => ({ directory, source: "system" as const })),
    ...npm.map((directory) => ({ directory, source: "npm" as const })),
    ...cache.map((directory) => ({ directory, source: "cache" as const })),
  ];
}

// A directory of PATH may hold links or Debian's wrapper of psql; the server's own directory is what counts.
async function realBinDirectory(directory: string): Promise<string | undefined> {
  for (const name of ["postgres", "pg_ctl", "pg_dump"]) {
    try {
      const real = await realpath(path.join(directory, name + suffix));
      // Debian's wrapper is a Perl script kept with the wrapper's own files.
      if (path.basename(real, suffix) === name) return path.dirname(real);
    } catch {
      // Not here.
    }
  }
  return undefined;
}

async function systemDirectories(): Promise<string[]> {
  const patterns: Partial<Record<NodeJS.Platform, readonly string[]>> = {
    linux: ["/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/lib/postgresql*/bin", "/usr/local/pgsql/bin"],
    darwin: [
      "/opt/homebrew/opt/postgresql@*/bin",
      "/usr/local/opt/postgresql@*/bin",
      "/Applications/Postgres.app/Contents/Versions/*/bin",
      "/Library/PostgreSQL/*/bin",
    ],
    win32: ["C:/Program Files/PostgreSQL/*/bin"],
    freebsd: ["/usr/local/bin"],
  };
  const found = await Promise.all((patterns[process.platform] ?? []).map(expand));
  return found.flat();
}

/** Expands the one `*` a pattern may hold, within one path element; newest version first. */
async function expand(pattern: string): Promise<string[]> {
  const star = pattern.indexOf("*");
  if (star < 0) return [pattern];
  const slash = pattern.lastIndexOf("/", star);
  const parent = pattern.slice(0, slash);
  const [before = "", after = ""] = pattern
    .slice(slash + 1)
    .split("/")[0]!
    .split("*");
  const rest = pattern.slice(pattern.indexOf("/", star));
  const names = await readdir(parent).catch(() => []);
  return names
    .filter((name) => name.startsWith(before) && name.endsWith(after))
    .sort((a, b) => b.localeCompare(a, "en", { numeric: true }))
    .map((name) => `${parent}/${name}${rest}`);
}

async function cachedBinDirectories(cacheDirectory: string): Promise<string[]> {
  const names = await readdir(path.join(cacheDirectory, "npm")).catch(() => []);
  const found = await Promise.all(
    names.filter((name) => /^\d/.test(name)).map((name) => npmBinDirectories(path.join(cacheDirectory, "npm", name))),
  );
  return found.flat();
}

async function inspect(directory: string, source: BinarySource, account: Account | undefined): Promise<Binaries> {
  const has = async (name: string): Promise<boolean> =>
    access(path.join(directory, name + suffix), constants.X_OK).then(
      () => true,
      () => false,
    );
  const [server, client] = await Promise.all([
    Promise.all(serverTools.map(has)),
    Promise.all(clientTools.map(async (name) => ((await has(name)) ? [name] : []))),
  ]);
  const tools = client.flat();
  const isServer = !server.includes(false);
  const teller = isServer ? "postgres" : tools.includes("pg_dump") ? "pg_dump" : tools[0];
  const about = { directory, source, server: isServer, tools };
  if (teller === undefined) return { ...about, major: 0, version: "", problem: "it has no PostgreSQL programs" };
  let home = directory;
  try {
    if (isServer && (source === "npm" || source === "cache")) home = await makeReachable(directory, account);
    const { exitCode, stdout, stderr } = await runProgram(path.join(home, teller + suffix), ["--version"], {
      account,
      timeoutMs: 20_000,
    });
    const match = /\(PostgreSQL\) ((\d+)[^\n]*)/.exec(stdout);
    if (exitCode !== 0 || match === null) {
      const reason = stderr.trim().split("\n")[0];
      return { ...about, major: 0, version: "", problem: `${teller} does not run: ${reason || `exit ${exitCode}`}` };
    }
    return { ...about, directory: home, major: Number(match[2]), version: match[1]!, problem: undefined };
  } catch (error) {
    return { ...about, major: 0, version: "", problem: `${teller} does not run: ${messageOf(error)}` };
  }
}
