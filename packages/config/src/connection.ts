import type { Finding } from "@db/core";
import type { ConnectionConfig, TargetSessionAttributes } from "./config.ts";
import { type Places, underHome } from "./connection-layers.ts";
import { openText } from "./file-content.ts";
import { findPassword, isExposed } from "./password-file.ts";
import { describePostgresUrl, formatPostgresUrl, parsePostgresUrl, type PostgresUrl } from "./postgres-url.ts";
import { type ProblemList, type Resolution, subjectOf } from "./resolve.ts";
import { Secret } from "./secret.ts";
import { levels } from "./source.ts";
import type { TlsConfig, TlsMode } from "./tls.ts";
import { tlsParameters } from "./tls.ts";
import { type TlsReader, tlsReader } from "./tls-files.ts";

/** Everything that the connection is made from. */
export interface ConnectionInput {
  readonly resolution: Resolution;
  /** Parameters of the URL that no setting covers. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly places: Places;
  readonly userName: string | undefined;
  readonly problems: ProblemList;
  readonly warnings: Finding[];
}

interface Server {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string | undefined;
  readonly tls: TlsConfig;
  readonly parameters: ReadonlyMap<string, string>;
}

const anchors = [
  "connection.url",
  "connection.host",
  "connection.hostAddress",
  "connection.service",
  "connection.database",
];

/** True when something says where the database is. */
export function hasConnection(resolution: Resolution): boolean {
  return anchors.some((key) => resolution.get(key)!.isGiven);
}

/** Makes the connection from resolved settings; the password is looked up where none is given. */
export function assembleConnection(input: ConnectionInput): ConnectionConfig {
  const { resolution } = input;
  const text = (key: string): string | undefined => resolution.get(key)!.value as string | undefined;
  const names = hostsOf(resolution);
  const ports = portsOf(input, names.length);
  const user = text("connection.user") ?? fallback(input, "connection.user", input.userName ?? "postgres", userSource);
  const database = text("connection.database") ?? fallback(input, "connection.database", user, databaseSource);
  const passwords = passwordLookup(input);
  const tls = tlsReader(input);
  const mode = text("connection.tls.mode") as TlsMode;
  const applicationName = text("connection.applicationName")!;
  const options = text("connection.options");
  const parameters = new Map(input.parameters);
  // pg lets the URL beat its options: the default stays out, so that each service can name itself.
  if (resolution.get("connection.applicationName")!.isGiven) parameters.set("application_name", applicationName);
  if (options !== undefined) parameters.set("options", options);

  const given = text("connection.password");
  const primaries = names.map(({ host, address }, index): Server => {
    const port = ports[index]!;
    const password = given ?? passwords({ host, port, database, user });
    return { host: address, port, database, user, password, parameters, tls: tls(mode, host) };
  });
  const primary = primaries[0]!;
  if (given === undefined && primary.password !== undefined) noteLookedUp(input);
  const replicas = replicaServers(input, primary, passwords, tls);
  reportRepeatedServers(input, primary, replicas);
  return {
    primaryUrl: urlOf(primary),
    fallbackUrls: primaries.slice(1).map(urlOf),
    replicaUrls: replicas.map(urlOf),
    applicationName,
    tls: primary.tls,
    host: primary.host,
    port: primary.port,
    database,
    user,
    targetSessionAttributes: text("connection.targetSessionAttributes") as TargetSessionAttributes,
  };
}

function urlOf({ host, port, tls, parameters, ...rest }: Server): Secret {
  const all = new Map([...parameters, ...tlsParameters(tls)]);
  const url: PostgresUrl = { ...rest, hosts: [{ host, port }], parameters: all };
  return new Secret(formatPostgresUrl(url), describePostgresUrl(url));
}

/** Hosts with the address to connect to. An address counts only for a host of its own level or below. */
function hostsOf(resolution: Resolution): readonly { readonly host: string; readonly address: string }[] {
  const host = resolution.get("connection.host")!;
  const address = resolution.get("connection.hostAddress")!;
  const rank = (of: typeof host): number => levels.indexOf(of.source.level);
  const addresses = typeof address.value === "string" && rank(address) <= rank(host) ? address.value.split(",") : [];
  const hosts = addresses.length > 0 && !host.isGiven ? addresses : String(host.value).split(",");
  return hosts.map((name, index) => {
    const known = name === "" ? "localhost" : name;
    return { host: known, address: addresses[index] || known };
  });
}

function portsOf({ resolution, problems }: ConnectionInput, count: number): readonly number[] {
  const resolved = resolution.get("connection.port")!;
  const list = String(resolved.value)
    .split(",")
    .map((port) => (port.trim() === "" ? 5_432 : Number(port)));
  if (list.length === 1) return Array.from({ length: count }, () => list[0]!);
  if (list.length !== count) {
    const expected = `one port, or as many as there are hosts (${count})`;
    const subject = subjectOf(resolved);
    problems.add({ ...subject, expected, example: "5432", message: `${subject.variable} must be ${expected}` });
  }
  return Array.from({ length: count }, (_, index) => list[index] ?? 5_432);
}

const userSource = { level: "default", name: "the operating system's user" } as const;
const databaseSource = { level: "default", name: "the name of the role" } as const;

function fallback(
  { resolution }: ConnectionInput,
  key: string,
  value: string,
  source: { readonly level: "default"; readonly name: string },
): string {
  resolution.set(key, { ...resolution.get(key)!, value, source });
  return value;
}

type PasswordLookup = (query: Parameters<typeof findPassword>[1]) => string | undefined;

/** Looks in the password file, read when it is first needed. As in libpq, one that others can read is not used. */
function passwordLookup(input: ConnectionInput): PasswordLookup {
  let text: string | undefined;
  return (query) => {
    text ??= readPasswordFile(input);
    return text === "" ? undefined : findPassword(text, query);
  };
}

function passwordFile({ resolution, places }: ConnectionInput): string | undefined {
  const given = resolution.get("connection.passwordFile")!.value as string | undefined;
  return given ?? underHome(places.homeDirectory, ".pgpass");
}

function readPasswordFile(input: ConnectionInput): string {
  const path = passwordFile(input);
  const file = path === undefined ? undefined : openText(input.places.readFile, path, input.places.cwd);
  if (file === undefined || "wrong" in file) {
    const { isGiven, source } = input.resolution.get("connection.passwordFile")!;
    if (isGiven && file !== undefined && "wrong" in file) {
      const title = `${source.name} ${file.wrong}`;
      input.warnings.push({ id: "CONFIG-PASSWORD-FILE", severity: "warn", title, subject: source.name });
    }
    return "";
  }
  if (isExposed(file.mode)) {
    input.warnings.push({
      id: "CONFIG-PASSWORD-FILE",
      severity: "warn",
      title: `the password file ${file.path} is not used: others may read it`,
      subject: file.path,
      hint: "Make it readable by its owner only.",
      command: `chmod 0600 ${file.path}`,
    });
    return "";
  }
  return file.text;
}

function noteLookedUp(input: ConnectionInput): void {
  const resolved = input.resolution.get("connection.password")!;
  const location = passwordFile(input);
  const source = {
    level: "libpq",
    name: "the password file",
    ...(location === undefined ? {} : { location }),
  } as const;
  input.resolution.set("connection.password", { ...resolved, value: "", source });
}

/** What a replica's URL leaves out is the primary's: it is a copy of the same cluster. */
function replicaServers(
  { resolution, problems }: ConnectionInput,
  primary: Server,
  passwords: PasswordLookup,
  tls: TlsReader,
): readonly Server[] {
  const resolved = resolution.get("connection.replicaUrls")!;
  const urls = resolved.value as readonly string[];
  return urls.flatMap((text, index) => {
    const reading = parsePostgresUrl(text);
    if ("wrong" in reading) return [];
    const { url } = reading;
    const user = url.user ?? primary.user;
    const database = url.database ?? primary.database;
    const mode = url.parameters.get("sslmode");
    if (mode !== undefined && !isTlsMode(mode)) {
      const subject = subjectOf(resolved);
      const expected = "an sslmode of libpq";
      const message = `${subject.variable}: in entry ${index + 1}, the sslmode must be one of libpq's`;
      problems.add({ ...subject, expected, example: "verify-full", message });
    }
    return url.hosts.map(({ host: written, port = 5_432 }): Server => {
      const host = written === "" ? "localhost" : written;
      const known = url.password ?? passwords({ host, port, database, user });
      return {
        host,
        port,
        database,
        user,
        password: known ?? (user === primary.user ? primary.password : undefined),
        parameters: primary.parameters,
        tls: tls(mode !== undefined && isTlsMode(mode) ? mode : undefined, host),
      };
    });
  });
}

function isTlsMode(text: string): text is TlsMode {
  return ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"].includes(text);
}

function reportRepeatedServers(input: ConnectionInput, primary: Server, replicas: readonly Server[]): void {
  const resolved = input.resolution.get("connection.replicaUrls")!;
  const seen = new Map([[placeName(primary), "the primary"]]);
  for (const [index, replica] of replicas.entries()) {
    const earlier = seen.get(placeName(replica));
    seen.set(placeName(replica), earlier ?? `replica ${index + 1}`);
    if (earlier === undefined) continue;
    const subject = subjectOf(resolved);
    const expected = "servers other than the primary, each once";
    const which = `replica ${index + 1} is the same server as ${earlier}`;
    const message = `${subject.variable}: ${which} (${placeName(replica)})`;
    const { example } = resolved.setting;
    input.problems.add({ ...subject, expected, example, message });
  }
}

function placeName({ host, port }: Server): string {
  const name = host.toLowerCase().replace(/\.$/, "");
  return `${/^(127\.\d+\.\d+\.\d+|::1)$/.test(name) ? "localhost" : name}:${port}`;
}
