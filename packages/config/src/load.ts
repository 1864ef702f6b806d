import { existsSync, readFileSync, statSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { messageOf } from "@db/core";
import { discover } from "./discovery.ts";
import { ConfigError, type Problem } from "./errors.ts";
import { type ReadFile, resolvePath } from "./file-content.ts";
import type { Variables } from "./layer.ts";
import { baseLayers, type ConfigSources, type LoadedConfig, parseConfig, variableSources } from "./parse.ts";
import type { Profile } from "./profile.ts";
import { chooseProfile } from "./profile-choice.ts";
import { redactText } from "./redaction.ts";
import { ProblemList } from "./resolve.ts";

/** What a configuration is loaded from. */
export interface LoadOptions {
  /** Default: the environment of this process. */
  readonly env?: Variables;
  /** Where the search for files begins. Default: the working directory. */
  readonly cwd?: string;
  /** Default: the user's home directory. */
  readonly homeDirectory?: string;
  /** Beats `DB_PROFILE` and `NODE_ENV`. */
  readonly profile?: Profile;
  /** What flags said: an object of settings or dotted keys. Beats every other source. */
  readonly overrides?: Readonly<Record<string, unknown>>;
  /** A configuration file instead of the one that would be found. */
  readonly configFile?: string;
  /** `false` reads no configuration and no `.env` file, only what variables name and libpq's files. Default `true`. */
  readonly readFiles?: boolean;
  /** Whether it is a problem when nothing says where the database is. Default `true`. */
  readonly requireConnection?: boolean;
  /** Variables with our prefixes that the caller reads itself, so that they are not reported as unknown. */
  readonly knownVariables?: readonly string[];
}

/**
 * Finds and reads the configuration of this process: flags, environment, `.env` files, `db.config.*`, the user's own
 * file and libpq's, in this order of precedence.
 * @throws {ConfigError} with every problem there is
 */
export async function loadConfig(options: LoadOptions = {}): Promise<LoadedConfig> {
  const { env = process.env, cwd = process.cwd(), homeDirectory = homedir() } = options;
  const base: ConfigSources = {
    environment: env,
    cwd,
    homeDirectory,
    readFile: readTextFile,
    ...(options.overrides === undefined ? {} : { flags: options.overrides }),
    ...(options.profile === undefined ? {} : { profile: options.profile }),
    ...(options.requireConnection === undefined ? {} : { requireConnection: options.requireConnection }),
    ...(options.knownVariables === undefined ? {} : { knownVariables: options.knownVariables }),
    ...userNameOf(),
  };
  if (options.readFiles === false) return parseConfig(base);

  const problems: Problem[] = [];
  const found = discover(cwd, existsSync, readTextFile);
  const dotenv = readDotenv(found.nearest(".env"), problems);
  const withDotenv: ConfigSources = { ...base, ...(dotenv === undefined ? {} : { dotenv }) };
  const userFile = join(env["XDG_CONFIG_HOME"] || join(homeDirectory, ".config"), "db", "config.json");
  const configFiles = options.configFile === undefined ? found.configFiles : [resolvePath(options.configFile, cwd)];
  const [file, user] = await Promise.all([
    readConfigFile(configFiles, options.configFile !== undefined, problems),
    existsSync(userFile) ? readConfigFile([userFile], true, problems) : undefined,
  ]);
  const sources: ConfigSources = {
    ...withDotenv,
    projectDirectory: found.projectDirectory,
    ...(file === undefined ? {} : { file }),
    ...(user === undefined ? {} : { userFile: user }),
  };
  const profile = profileOf(sources);
  const profileDotenv = readDotenv(found.nearest(`.env.${profile}`), problems);
  try {
    const loaded = parseConfig({ ...sources, ...(profileDotenv === undefined ? {} : { profileDotenv }) });
    if (problems.length > 0) throw new ConfigError(problems, loaded.warnings);
    return loaded;
  } catch (error) {
    if (!(error instanceof ConfigError) || problems.length === 0 || error.problems === problems) throw error;
    const rest = error.problems.filter((problem) => !problems.includes(problem));
    throw new ConfigError([...problems, ...rest], error.warnings);
  }
}

/** The profile, before the file that it chooses is read. */
function profileOf(sources: ConfigSources): Profile {
  const problems = new ProblemList();
  const layers = baseLayers(sources, variableSources(sources, []), problems);
  return chooseProfile(layers, sources.profile, problems).profile;
}

function readTextFile(path: string): ReturnType<ReadFile> {
  try {
    const { mode } = statSync(path);
    const text = readFileSync(path, "utf8");
    return process.platform === "win32" ? { text } : { text, mode: mode & 0o777 };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

function readDotenv(path: string | undefined, problems: Problem[]): { path: string; text: string } | undefined {
  if (path === undefined) return undefined;
  try {
    const content = readTextFile(path);
    return content === undefined ? undefined : { path, text: content.text };
  } catch (error) {
    problems.push(unreadable(path, "cannot be read", error));
    return undefined;
  }
}

async function readConfigFile(
  paths: readonly string[],
  isNamed: boolean,
  problems: Problem[],
): Promise<{ path: string; value: unknown } | undefined> {
  const [path, other] = paths;
  if (path === undefined) return undefined;
  if (other !== undefined) {
    const names = paths.map((each) => basename(each)).join(" and ");
    const message = `${names} both configure this project (${path}); keep one of them`;
    problems.push({
      variable: basename(path),
      source: path,
      expected: "one configuration file",
      example: "db.config.ts",
      message,
    });
    return undefined;
  }
  if (isNamed && !existsSync(path)) {
    problems.push(unreadable(path, "does not exist", undefined));
    return undefined;
  }
  try {
    return { path, value: path.endsWith(".json") ? readJson(path) : await readModule(path) };
  } catch (error) {
    problems.push(unreadable(path, "cannot be read", error));
    return undefined;
  }
}

function readJson(path: string): unknown {
  const parsed: unknown = JSON.parse((readTextFile(path)?.text ?? "").replace(/^\uFEFF/, ""));
  return basename(path) === "package.json" ? (parsed as { db?: unknown }).db : parsed;
}

async function readModule(path: string): Promise<unknown> {
  const loaded = (await import(pathToFileURL(path).href)) as { default?: unknown };
  if (loaded.default === undefined) throw new Error("it has no default export");
  return loaded.default;
}

function unreadable(path: string, wrong: string, error: unknown): Problem {
  const why = error === undefined ? "" : `: ${redactText(firstLine(messageOf(error)))}`;
  const expected = "a file whose default export, or content, is an object of settings";
  const example = "export default { pool: { max: 20 } }";
  return { variable: basename(path), source: path, expected, example, message: `${path} ${wrong}${why}` };
}

// JSON.parse repeats a piece of the text, which may hold a password: only the position is kept.
function firstLine(message: string): string {
  return message
    .split("\n", 1)[0]!
    .replace(/,? "?.*is not valid JSON/, "the text is not valid JSON")
    .slice(0, 200);
}

/** A container may run as a user that has no name. */
function userNameOf(): { readonly userName?: string } {
  try {
    return { userName: userInfo().username };
  } catch {
    return {};
  }
}
