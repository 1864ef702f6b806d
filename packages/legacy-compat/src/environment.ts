import { readFileSync, statSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import {
  type Config,
  type ConfigSources,
  type LoadedConfig,
  parseConfig,
  type Profile,
  type ReadFile,
} from "@db/config";

/** Settings by dotted key, as `pool.max`; they beat the environment. */
export type Flags = Readonly<Record<string, unknown>>;

export interface EnvironmentOptions {
  readonly flags?: Flags;
  readonly profile?: Profile;
  /** Default: the environment of this process. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly requireConnection?: boolean;
  /** What counts where the environment says nothing, in place of the profile's own figures. */
  readonly defaults?: PlatformDefaults;
}

/** The figures of one platform where they differ from the toolkit's, by profile. */
export interface PlatformDefaults {
  readonly platform: string;
  settings(profile: Profile): object;
}

/**
 * The configuration that the environment of this process gives, read at once: the old names were synchronous, so
 * `db.config.*` and `.env` files are not searched. Secrets in `*_FILE`, certificates and libpq's files are read.
 * @throws {ConfigError} with every problem there is
 */
export function readEnvironment(options: EnvironmentOptions = {}): LoadedConfig {
  const { flags = {}, profile, environment = process.env, requireConnection = true, defaults } = options;
  const sources: ConfigSources = {
    environment,
    flags,
    requireConnection,
    cwd: process.cwd(),
    homeDirectory: homedir(),
    readFile: readTextFile,
    ...(profile === undefined ? {} : { profile }),
    ...userNameOf(),
  };
  const loaded = parseConfig(sources);
  if (defaults === undefined) return loaded;
  // The lowest place that a file has: below every variable, above what the profile sets.
  const path = `the defaults of ${defaults.platform}`;
  return parseConfig({ ...sources, userFile: { path, value: defaults.settings(loaded.config.profile) } });
}

/** What a profile sets by itself, whatever the environment says. */
export function profileDefaults(profile: Profile): Config {
  return parseConfig({ profile, requireConnection: false }).config;
}

const readTextFile: ReadFile = (path) => {
  try {
    const { mode } = statSync(path);
    const text = readFileSync(path, "utf8");
    return process.platform === "win32" ? { text } : { text, mode: mode & 0o777 };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
};

/** A user id without a name has none. */
function userNameOf(): { userName?: string } {
  try {
    return { userName: userInfo().username };
  } catch {
    return {};
  }
}
