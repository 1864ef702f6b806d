import type { Finding } from "@db/core";
import type { Config, ConnectionConfig } from "./config.ts";
import { describePostgresUrl, parsePostgresUrl } from "./postgres-url.ts";
import type { Profile } from "./profile.ts";
import { type ProblemList, type Resolution, subjectOf } from "./resolve.ts";
import { nameOf } from "./setting.ts";
import { describeSource } from "./source.ts";

const atMost: readonly (readonly [lower: string, upper: string])[] = [
  ["pool.min", "pool.max"],
  ["pool.retry.initialDelayMs", "pool.retry.maxDelayMs"],
  ["monitor.thresholds.queryMs.warn", "monitor.thresholds.queryMs.critical"],
  ["monitor.thresholds.connectionPercent.warn", "monitor.thresholds.connectionPercent.critical"],
  ["monitor.thresholds.storagePercent.warn", "monitor.thresholds.storagePercent.critical"],
];

/** Settings that are each fine and cannot hold together. */
export function reportContradictions(resolution: Resolution, problems: ProblemList): void {
  for (const [lower, upper] of atMost) reportOrder(resolution, lower, upper, problems);
  reportRemoteStorage(resolution, problems);
  reportNotification(resolution, problems);
}

function reportOrder(resolution: Resolution, lower: string, upper: string, problems: ProblemList): void {
  const small = resolution.get(lower)!;
  const large = resolution.get(upper)!;
  if (Number(small.value) <= Number(large.value)) return;
  // The one that somebody set is the one to name.
  const [named, other] = small.isGiven || !large.isGiven ? [small, large] : [large, small];
  const relation = named === small ? "at most" : "at least";
  const expected = `${relation} ${other.setting.key} (${shown(other.value)}, from ${describeSource(other.source)})`;
  const subject = subjectOf(named);
  const message = `${subject.variable} sets ${named.setting.key} to ${shown(named.value)}; it must be ${expected}`;
  problems.add({ ...subject, expected, example: String(other.value), message });
}

function shown(value: unknown): string {
  return value === Number.POSITIVE_INFINITY ? "unlimited" : String(value);
}

/** The bucket of the provider that is chosen; a bucket named without a provider counts for any. */
export function bucketOf(resolution: Resolution): string | undefined {
  const value = (key: string): string | undefined => resolution.get(key)!.value as string | undefined;
  const provider = value("backup.remote.provider");
  const own = provider === "s3" || provider === "gcs" ? value(`backup.remote.${provider}Bucket`) : undefined;
  return value("backup.remote.bucket") ?? own;
}

function reportRemoteStorage(resolution: Resolution, problems: ProblemList): void {
  const provider = String(resolution.get("backup.remote.provider")!.value);
  const general = resolution.get("backup.remote.bucket")!;
  const own = provider === "s3" || provider === "gcs" ? resolution.get(`backup.remote.${provider}Bucket`)! : undefined;
  if (
    general.isGiven &&
    own?.isGiven === true &&
    general.value !== own.value &&
    general.source.level === own.source.level
  ) {
    const subject = subjectOf(general);
    const message = `${subject.variable} and ${own.source.name} name different buckets; set one of them`;
    problems.add({
      ...subject,
      expected: `the same value as ${own.source.name}`,
      example: general.setting.example,
      message,
    });
  }
  const enabled = resolution.get("features.remoteStorage")!;
  if (enabled.value !== true || bucketOf(resolution) !== undefined || general.isGiven) return;
  if (own?.isGiven === true) return;
  const names = [general.setting, ...(own === undefined ? [] : [own.setting])].map(nameOf).join(" or ");
  const subject = subjectOf(enabled);
  const message = `${subject.variable} turns on remote storage, but no bucket is named for ${provider}: set ${names}`;
  problems.add({ ...subject, expected: `a bucket in ${names}`, example: general.setting.example, message });
}

function reportNotification(resolution: Resolution, problems: ProblemList): void {
  const enabled = resolution.get("notify.enabled")!;
  const reached = ["notify.email", "notify.webhookUrl"].some((key) => resolution.get(key)!.isGiven);
  if (enabled.value !== true || reached) return;
  const subject = subjectOf(enabled);
  const names = "NOTIFICATION_EMAIL or NOTIFICATION_WEBHOOK";
  const expected = `${names} beside it`;
  const message = `${subject.variable} turns on notification, but nobody is to be notified: set ${names}`;
  problems.add({ ...subject, expected, example: "ops@example.com", message });
}

/** TLS that is too weak for the profile: refused in production unless it was allowed. */
export function reportTls(
  connection: ConnectionConfig,
  profile: Profile,
  resolution: Resolution,
  problems: ProblemList,
  warnings: Finding[],
): void {
  const mode = resolution.get("connection.tls.mode")!;
  const ca = resolution.get("connection.tls.caFile")!;
  const servers = [connection.primaryUrl, ...connection.fallbackUrls, ...connection.replicaUrls];
  const modes = servers.map((server) => effectiveMode(server.reveal()));
  const subject = subjectOf(mode);
  if (connection.tls.mode === "verify-ca" && connection.tls.ca === undefined && !ca.isGiven) {
    const expected = "verify-full, or DB_SSL_ROOT_CERT with your own authority's certificate beside it";
    const message = `${subject.variable} is verify-ca without a root certificate: any public certificate would do`;
    problems.add({ ...subject, expected, example: "verify-full", message });
  }
  const weak = modes.find((mode) => mode === "disable" || mode === "unstated");
  if (
    profile === "production" &&
    weak !== undefined &&
    resolution.get("connection.tls.allowInsecure")!.value !== true
  ) {
    const expected = "verify-full or require, or DB_ALLOW_INSECURE_TLS=true beside it";
    const which = modes.indexOf(weak) === 0 ? subject.variable : `the URL of server ${modes.indexOf(weak) + 1}`;
    const message = `${which} allows an unencrypted connection in production; write ${expected}`;
    problems.add({ ...subject, expected, example: "verify-full", message });
  } else if (modes.includes("require") && !connection.tls.rejectUnauthorized) {
    warnings.push({
      id: "CONFIG-TLS-UNVERIFIED",
      severity: profile === "production" ? "warn" : "info",
      title: "the connection is encrypted, but the server's certificate is not verified",
      subject: subject.variable,
      hint: "Use sslmode=verify-full, with DB_SSL_ROOT_CERT where the authority is your own.",
    });
  }
}

/** The mode that a finished URL states; sockets need none. */
function effectiveMode(url: string): string {
  const reading = parsePostgresUrl(url);
  if ("wrong" in reading || reading.url.hosts.every(({ host }) => /^[/@]/.test(host))) return "socket";
  return reading.url.parameters.get("sslmode") ?? "unstated";
}

/** What holds together, but probably not as meant. */
export function doubts(config: Config, resolution: Resolution): readonly Finding[] {
  const findings: Finding[] = [];
  const warn = (id: string, key: string, title: string, hint: string): void => {
    findings.push({ id, severity: "warn", title, subject: subjectOf(resolution.get(key)!).variable, hint });
  };
  const { pool, connection, features } = config;
  if (pool.slowQueryThresholdMs !== false && pool.slowQueryThresholdMs >= pool.queryTimeoutMs) {
    const [threshold, timeout] = [pool.slowQueryThresholdMs, pool.queryTimeoutMs];
    const title = `no query is ever slow: the threshold (${threshold} ms) is not below the time-out (${timeout} ms)`;
    warn("CONFIG-SLOW-QUERY", "pool.slowQueryThresholdMs", title, "Lower pool.slowQueryThresholdMs.");
  }
  if (pool.socketTimeoutMs < pool.queryTimeoutMs && resolution.get("pool.socketTimeoutMs")!.isGiven) {
    const title = `a connection is given up after ${pool.socketTimeoutMs} ms, before its query times out`;
    warn(
      "CONFIG-SOCKET-TIMEOUT",
      "pool.socketTimeoutMs",
      title,
      "Raise pool.socketTimeoutMs above pool.queryTimeoutMs.",
    );
  }
  const flag = resolution.get("features.readReplicas")!;
  if (features.readReplicas && flag.isGiven && connection !== undefined && connection.replicaUrls.length === 0) {
    warn(
      "CONFIG-NO-REPLICA",
      "features.readReplicas",
      "reads may go to replicas, but none is named",
      "Set READ_REPLICA_URLS.",
    );
  }
  return [...findings, ...overriddenUrl(resolution)];
}

const urlKeys = ["connection.host", "connection.port", "connection.user", "connection.password", "connection.database"];

/** A part from a higher level counts, but mixing it into another level's URL is worth a word. */
function overriddenUrl(resolution: Resolution): readonly Finding[] {
  const url = resolution.get("connection.url")!;
  const reading = typeof url.value === "string" ? parsePostgresUrl(url.value) : undefined;
  if (reading === undefined || "wrong" in reading) return [];
  const prefix = `${url.source.name} (`;
  return urlKeys.flatMap((key) => {
    const resolved = resolution.get(key)!;
    const beaten = resolved.beaten.find((candidate) => candidate.source.name.startsWith(prefix));
    if (beaten === undefined || JSON.stringify(beaten.value) === JSON.stringify(resolved.value)) return [];
    const part = beaten.source.name.slice(prefix.length, -1);
    return [
      {
        id: "CONFIG-URL-OVERRIDDEN",
        severity: "warn" as const,
        title: `${describeSource(resolved.source)} beats the ${part} of ${describePostgresUrl(reading.url)}`,
        subject: resolved.source.name,
        hint: `Set it in ${url.source.name}, or remove one of them.`,
      },
    ];
  });
}
