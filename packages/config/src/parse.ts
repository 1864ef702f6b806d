import type { Finding } from "@db/core";
import { assembleConfig } from "./assemble.ts";
import type { Config } from "./config.ts";
import { assembleConnection, hasConnection } from "./connection.ts";
import { connectionLayers, type Places } from "./connection-layers.ts";
import { doubts, reportContradictions, reportTls } from "./contradictions.ts";
import { ConfigError } from "./errors.ts";
import { explainAll, explainSetting, type Explanation } from "./explain.ts";
import type { ReadFile } from "./file-content.ts";
import {
  allKeys,
  type DotenvFile,
  dotenvSource,
  environmentSource,
  type Layer,
  libpqLayer,
  objectLayer,
  type ObjectSource,
  type Variables,
  variableLayer,
  type VariableSource,
} from "./layer.ts";
import type { Profile } from "./profile.ts";
import { chooseProfile } from "./profile-choice.ts";
import { ProblemList, type Resolution, resolveSettings, secretsIn } from "./resolve.ts";
import { Secret } from "./secret.ts";
import { settingOf } from "./settings.ts";
import { describeSource } from "./source.ts";
import { suggest } from "./suggestion.ts";
import { findUnknownVariables } from "./unknown-variables.ts";

/** Everything that a configuration is made from, already read. */
export interface ConfigSources {
  readonly environment?: Variables;
  /** What the command line said: an object of settings, or dotted keys. Texts are read as those of variables are. */
  readonly flags?: Readonly<Record<string, unknown>>;
  /** Beats every other source of the profile. */
  readonly profile?: Profile;
  readonly profileDotenv?: DotenvFile;
  readonly dotenv?: DotenvFile;
  /** The project's configuration file, and its content as an object. */
  readonly file?: { readonly path: string; readonly value: unknown };
  /** The user's own configuration file. */
  readonly userFile?: { readonly path: string; readonly value: unknown };
  /** What relative paths of flags, variables and defaults are relative to. Left as they are when not given. */
  readonly cwd?: string;
  /** The project's folder, for defaults that are paths. Default `cwd`. */
  readonly projectDirectory?: string;
  readonly homeDirectory?: string;
  /** The operating system's user, libpq's default role. */
  readonly userName?: string;
  /** Reads secrets, certificates, service and password files. Default: there are none. */
  readonly readFile?: ReadFile;
  /** Whether it is a problem when nothing says where the database is. Default `true`. */
  readonly requireConnection?: boolean;
  /** Variables with our prefixes that the caller reads itself. */
  readonly knownVariables?: readonly string[];
}

/** A configuration with its reasons. */
export interface LoadedConfig {
  readonly config: Config;
  /** What is doubtful without being wrong. */
  readonly warnings: readonly Finding[];
  /** Every secret in it, for `redactError` and `redactText`. */
  readonly secrets: readonly Secret[];
  /** The files that were read, in order of precedence. */
  readonly files: readonly string[];
  readonly explain: Explain;
}

/** Tells where values came from and what they beat: all of them, or one that is named by its key or by a variable. */
export interface Explain {
  (): readonly Explanation[];
  /** @throws {UnknownSettingError} */
  (key: string): Explanation;
}

/**
 * Makes the configuration from its sources: pure but for `readFile`, and synchronous.
 * @throws {ConfigError} with every problem there is
 */
export function parseConfig(sources: ConfigSources = {}): LoadedConfig {
  const problems = new ProblemList();
  const warnings: Finding[] = [];
  const { cwd, readFile, homeDirectory, environment = {} } = sources;
  const variables = variableSources(sources, warnings);
  const plain: readonly Layer[] = [...baseLayers(sources, variables, problems), ...variables.map(libpqLayer)];
  const choice = chooseProfile(plain, sources.profile, problems);
  const { profile } = choice;
  warnings.push(...choice.warnings);
  const places: Places = { cwd, homeDirectory, readFile, systemDirectory: environment["PGSYSCONFDIR"] || undefined };
  const { layers, parameters, warnings: more } = connectionLayers(plain, places, problems);
  warnings.push(...more);

  const secrets = secretsIn([...plain, ...layers]);
  const directory = sources.projectDirectory ?? cwd;
  const resolution = resolveSettings(layers, { profile: choice, directory, secrets }, problems);
  reportContradictions(resolution, problems);

  const required = sources.requireConnection ?? true;
  const isThere = hasConnection(resolution);
  if (required && !isThere) {
    const expected = settingOf("connection.url")!.kind.expected;
    const example = settingOf("connection.url")!.example;
    const ways = `set DATABASE_URL (for example ${example}), or DB_HOST, DB_NAME and DB_USER`;
    const message = `nothing says where the database is: ${ways}`;
    problems.add({ variable: "DATABASE_URL", source: "the environment", expected, example, message });
  }
  const connection = isThere
    ? assembleConnection({ resolution, parameters, places, userName: sources.userName, problems, warnings })
    : undefined;
  if (connection !== undefined) reportTls(connection, profile, resolution, problems, warnings);
  warnings.push(...brokenBeaten(resolution), ...unknown(variables, sources));
  if (problems.all.length > 0) throw new ConfigError(problems.all, warnings);

  const config = assembleConfig(resolution, profile, connection);
  warnings.push(...doubts(config, resolution));
  const files = [sources.profileDotenv, sources.dotenv, sources.file, sources.userFile].flatMap(
    (file) => file?.path ?? [],
  );
  const urls =
    connection === undefined ? [] : [connection.primaryUrl, ...connection.fallbackUrls, ...connection.replicaUrls];
  const all = [...urls, ...urls.flatMap(passwordOf), ...[...secrets].map((text) => new Secret(text))];
  function explain(): readonly Explanation[];
  function explain(key: string): Explanation;
  function explain(key?: string): Explanation | readonly Explanation[] {
    return key === undefined ? explainAll(resolution) : explainSetting(resolution, key);
  }
  return Object.freeze({ config, warnings: Object.freeze(warnings), secrets: Object.freeze(all), files, explain });
}

/** The sources of variables, highest precedence first, with a warning for lines that cannot be read. */
export function variableSources(sources: ConfigSources, warnings: Finding[]): readonly VariableSource[] {
  const { cwd, readFile, environment = {} } = sources;
  const files = [
    { file: sources.profileDotenv, level: ".env.<profile>" as const },
    { file: sources.dotenv, level: ".env" as const },
  ].flatMap(({ file, level }) => {
    if (file === undefined) return [];
    const { source, dotenv } = dotenvSource(file, level, readFile);
    for (const line of dotenv.unreadableLines) {
      const title = `${file.path}:${line} is not an assignment and sets nothing`;
      warnings.push({ id: "CONFIG-DOTENV-LINE", severity: "warn", title, subject: `${file.path}:${line}` });
    }
    return [source];
  });
  return [environmentSource(environment, cwd, readFile), ...files];
}

/** Flags, variables and files in order of precedence, without libpq. */
export function baseLayers(
  sources: ConfigSources,
  variables: readonly VariableSource[],
  problems: ProblemList,
): readonly Layer[] {
  const object = (source: ObjectSource): Layer =>
    objectLayer(source, ({ unknownKey, ...problem }) => {
      const meant = unknownKey === undefined ? undefined : suggest(unknownKey, allKeys);
      const where = source.location ?? "the flags";
      problems.add({
        ...problem,
        source: where,
        message: `${problem.message} in ${where}`,
        ...(meant === undefined ? {} : { suggestion: meant }),
      });
    });
  const file = (of: ConfigSources["file"], level: "file" | "user file"): readonly Layer[] =>
    of === undefined ? [] : [object({ level, value: of.value, location: of.path, directory: directoryOf(of.path) })];
  return [
    object({ level: "flag", value: sources.flags ?? {}, directory: sources.cwd, isText: true }),
    ...variables.map(variableLayer),
    ...file(sources.file, "file"),
    ...file(sources.userFile, "user file"),
  ];
}

function directoryOf(path: string): string {
  return path.replace(/[/\\][^/\\]*$/, "") || "/";
}

/** Values that do not count, but would not do either: named, so that they are not found on the day they count. */
function brokenBeaten(resolution: Resolution): readonly Finding[] {
  return [...resolution.values()].flatMap(({ setting, source, beaten }) =>
    beaten
      .filter(({ isValid }) => !isValid && setting.key !== "profile")
      .map((candidate) => ({
        id: "CONFIG-BEATEN-INVALID",
        severity: "info" as const,
        title: `${describeSource(candidate.source)} could not be used; ${describeSource(source)} counts`,
        subject: candidate.source.name,
        hint: `It must be ${setting.kind.expected}.`,
      })),
  );
}

function unknown(variables: readonly VariableSource[], sources: ConfigSources): readonly Finding[] {
  return findUnknownVariables(variables, sources.knownVariables ?? []);
}

function passwordOf(url: Secret): readonly Secret[] {
  const password = /^postgres:\/\/[^:@/]*:([^@/]*)@/.exec(url.reveal())?.[1];
  return password === undefined ? [] : [new Secret(decodeURIComponent(password))];
}
