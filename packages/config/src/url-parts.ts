import type { Finding } from "@db/core";
import type { Entry } from "./layer.ts";
import { libpqText } from "./layer.ts";
import type { Unit } from "./kind.ts";
import { parsePostgresUrl, type PostgresUrl } from "./postgres-url.ts";
import { settings } from "./settings.ts";
import { suggest } from "./suggestion.ts";

/** Parameters that node-postgres understands and no setting covers: they stay in the URL. */
const passedOn: ReadonlySet<string> = new Set([
  "client_encoding",
  "fallback_application_name",
  "idle_in_transaction_session_timeout",
  "lock_timeout",
  "sslnegotiation",
  "statement_timeout",
]);

/** Parameters of libpq, pg and Prisma that mean something there and nothing here. */
const withoutEffect: ReadonlySet<string> = new Set(
  [
    "channel_binding gssdelegation gssencmode gsslib keepalives keepalives_count keepalives_idle keepalives_interval",
    "krbsrvname load_balance_hosts max_protocol_version min_protocol_version replication require_auth requirepeer",
    "ssl_max_protocol_version ssl_min_protocol_version sslcertmode sslcompression sslcrl sslcrldir sslpassword sslsni",
    "tcp_user_timeout pgbouncer schema sslaccept sslidentity statement_cache_size",
  ].flatMap((names) => names.split(" ")),
);

/** `ssl=…` as pg and JDBC write it, in libpq's words. Encrypted without a word on how is taken as verified. */
const sslWords: Readonly<Record<string, string>> = Object.freeze({
  true: "verify-full",
  1: "verify-full",
  require: "require",
  "no-verify": "require",
  false: "disable",
  0: "disable",
});

interface Target {
  readonly key: string;
  readonly unit: Unit | undefined;
}

/** The setting that a keyword of libpq, or a parameter of Prisma, sets. */
export const keywords: ReadonlyMap<string, Target> = new Map(
  settings.flatMap(({ key, libpq, urlParameters = [] }) => {
    const names = libpq?.keyword === undefined ? urlParameters : [{ ...libpq, name: libpq.keyword }, ...urlParameters];
    return names.map(({ name, unit }) => [name, { key, unit }] as const);
  }),
);

/** What a URL says, by the settings it sets. */
export interface UrlParts {
  readonly entries: ReadonlyMap<string, Entry>;
  /** Parameters to pass on. */
  readonly passedOn: ReadonlyMap<string, string>;
  readonly warnings: readonly Finding[];
}

/** Takes a URL apart into entries named `DATABASE_URL (port)`; nothing when it cannot be read. */
export function urlParts(entry: Entry): UrlParts {
  const reading = typeof entry.raw === "string" ? parsePostgresUrl(entry.raw) : { wrong: "" };
  if ("wrong" in reading) return { entries: new Map(), passedOn: new Map(), warnings: [] };
  const { url } = reading;
  const entries = new Map<string, Entry>();
  const set = (key: string, part: string, raw: unknown, unit?: Unit): void => {
    if (raw === undefined || raw === "") return;
    entries.set(key, { ...entry, name: `${entry.name} (${part})`, raw: libpqText(raw, unit), isText: true, unit });
  };
  set(
    "connection.host",
    "host",
    joined(url, ({ host }) => host),
  );
  set(
    "connection.port",
    "port",
    joined(url, ({ port }) => (port === undefined ? "" : String(port))),
  );
  set("connection.user", "user", url.user);
  set("connection.password", "password", url.password);
  set("connection.database", "database", url.database);

  const kept = new Map<string, string>();
  const warnings: Finding[] = [];
  for (const [name, value] of url.parameters) {
    const target = keywords.get(name);
    if (target !== undefined) set(target.key, name, value, target.unit);
    else if (passedOn.has(name)) kept.set(name, value);
    else if (name === "ssl") {
      const word = value.toLowerCase();
      if (!url.parameters.has("sslmode")) {
        set("connection.tls.mode", name, Object.hasOwn(sslWords, word) ? sslWords[word] : value);
      }
    } else if (name !== "uselibpqcompat") warnings.push(ignoredParameter(entry.name, name));
  }
  return { entries, passedOn: kept, warnings };
}

function joined(url: PostgresUrl, part: (host: PostgresUrl["hosts"][number]) => string): string | undefined {
  const parts = url.hosts.map(part);
  return parts.every((text) => text === "") ? undefined : parts.join(",");
}

function ignoredParameter(variable: string, name: string): Finding {
  if (withoutEffect.has(name)) {
    return {
      id: "CONFIG-PARAMETER-UNUSED",
      severity: "info",
      title: `the parameter ${name} of ${variable} has no effect here`,
      subject: variable,
    };
  }
  const meant = suggest(name, [...keywords.keys(), ...passedOn, "ssl"]);
  return {
    id: "CONFIG-PARAMETER-UNKNOWN",
    severity: "warn",
    // A parameter's name is free text of a secret variable: it is shown only when it looks like a name.
    title: `${variable} has an unknown parameter${/^[a-z_]{1,40}$/i.test(name) ? ` ${name}` : ""}, which is ignored`,
    subject: variable,
    hint: meant === undefined ? "Remove it, or correct its name." : `Did you mean ${meant}?`,
  };
}
