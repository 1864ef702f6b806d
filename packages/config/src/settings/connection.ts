import { z } from "zod";
import { boolean, choice, type Kind, line, path, verbatim } from "../kind.ts";
import { parsePostgresUrl, readPort, splitUrls } from "../postgres-url.ts";
import type { Setting } from "../setting.ts";
import type { TlsMode } from "../tls.ts";

const isUrl = (text: string): boolean => "url" in parsePostgresUrl(text);

function wrongIn(value: unknown): string | undefined {
  const reading = typeof value === "string" ? parsePostgresUrl(value) : { wrong: "it is not a text" };
  return "wrong" in reading ? reading.wrong : undefined;
}

const postgresUrl: Kind = {
  name: "postgres URL",
  expected: "a URL postgres://user:password@host:port/database with special characters percent-encoded",
  schema: () => z.string().refine(isUrl),
  fromText: (text) => text.trim(),
  reason: wrongIn,
};

const postgresUrls: Kind = {
  name: "postgres URLs",
  expected: "URLs postgres://user:password@host:port/database, separated by commas",
  schema: () => z.array(z.string().refine(isUrl)),
  fromText: splitUrls,
  reason: (value) => {
    const index = Array.isArray(value) ? value.findIndex((url) => wrongIn(url) !== undefined) : -1;
    return index === -1 ? undefined : `in entry ${index + 1}, ${wrongIn((value as unknown[])[index])}`;
  },
  // One spelling holds a single replica: it agrees with a list that has it.
  same: (a, b) => {
    const [short, long] = [a as string[], b as string[]].toSorted((x, y) => x.length - y.length) as [
      string[],
      string[],
    ];
    return short.every((url) => long.includes(url));
  },
};

const hosts: Kind = {
  ...line("a host name, an address or a socket directory; several are separated by commas"),
  name: "hosts",
  schema: () => z.string().regex(/^[^\s@]+$/),
  same: (a, b) => String(a).toLowerCase() === String(b).toLowerCase(),
};

// As text, because several hosts may have a port each: "5432,5433".
const ports: Kind = {
  isPlain: true,
  name: "port",
  expected: "a port from 1 to 65535; one for each host is separated by commas",
  schema: () => z.union([z.int().min(1).max(65_535).transform(String), z.string().refine(isPortList)]),
  fromText: (text) => text.trim(),
};

function isPortList(text: string): boolean {
  const list = text.split(",");
  return (
    list.some((part) => part.trim() !== "") && list.every((part) => part.trim() === "" || readPort(part) !== undefined)
  );
}

const tlsModes: readonly TlsMode[] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

export const connectionSettings: readonly Setting[] = [
  {
    key: "connection.url",
    kind: postgresUrl,
    variables: [{ name: "DATABASE_URL" }],
    secret: true,
    doc: "The primary. Several hosts may be named, as in libpq. What the URL leaves out comes from the parts below.",
    example: "postgres://app@db.example.com:5432/app",
  },
  {
    key: "connection.replicaUrls",
    kind: postgresUrls,
    variables: [{ name: "READ_REPLICA_URLS" }, { name: "DB_READ_REPLICA_URL" }],
    default: [],
    secret: true,
    doc: "Standbys that the pool may read from. User, password and database default to the primary's.",
    example: "postgres://replica1.example.com/app,postgres://replica2.example.com/app",
  },
  {
    key: "connection.service",
    kind: line("the name of a service"),
    variables: [],
    libpq: { variable: "PGSERVICE", keyword: "service" },
    doc: "A section of a connection service file, whose values fill what is not given on its level or above.",
    example: "app",
  },
  {
    key: "connection.serviceFile",
    kind: path,
    variables: [],
    libpq: { variable: "PGSERVICEFILE" },
    defaultText: "~/.pg_service.conf",
    doc: "The connection service file.",
    example: "/etc/app/pg_service.conf",
  },
  {
    key: "connection.host",
    kind: hosts,
    variables: [{ name: "DB_HOST" }],
    libpq: { variable: "PGHOST", keyword: "host" },
    default: "localhost",
    doc: "Host of the primary, where there is no URL.",
    example: "db.example.com",
  },
  {
    key: "connection.hostAddress",
    kind: hosts,
    variables: [],
    libpq: { variable: "PGHOSTADDR", keyword: "hostaddr" },
    doc: "Address to connect to without a look-up; the host name is then only checked against the certificate.",
    example: "192.0.2.10",
  },
  {
    key: "connection.port",
    kind: ports,
    variables: [{ name: "DB_PORT" }],
    libpq: { variable: "PGPORT", keyword: "port" },
    default: "5432",
    doc: "Port of the primary.",
    example: "5432",
  },
  {
    key: "connection.user",
    kind: line("a role name"),
    variables: [{ name: "DB_USER" }],
    libpq: { variable: "PGUSER", keyword: "user" },
    defaultText: "the operating system's user",
    doc: "Role to connect as.",
    example: "app",
  },
  {
    key: "connection.password",
    kind: verbatim("a password"),
    variables: [{ name: "DB_PASSWORD" }],
    libpq: { variable: "PGPASSWORD", keyword: "password" },
    secret: true,
    defaultText: "looked up in the password file",
    doc: "Password of the role. Spaces are kept.",
    example: "correct horse battery staple",
  },
  {
    key: "connection.passwordFile",
    kind: path,
    variables: [],
    libpq: { variable: "PGPASSFILE", keyword: "passfile" },
    defaultText: "~/.pgpass",
    doc: "libpq's password file. One that others can read is not used.",
    example: "/run/secrets/pgpass",
  },
  {
    key: "connection.database",
    kind: line("a database name"),
    variables: [{ name: "DB_NAME" }],
    libpq: { variable: "PGDATABASE", keyword: "dbname" },
    defaultText: "the name of the role",
    doc: "Database of the primary.",
    example: "app",
  },
  {
    key: "connection.applicationName",
    kind: line("a name"),
    variables: [{ name: "DB_APPLICATION_NAME" }],
    libpq: { variable: "PGAPPNAME", keyword: "application_name" },
    default: "db",
    doc: "Shown in pg_stat_activity.",
    example: "billing",
  },
  {
    key: "connection.options",
    kind: line("command-line options of the server"),
    variables: [],
    libpq: { variable: "PGOPTIONS", keyword: "options" },
    doc: "Settings of the session.",
    example: "-c search_path=app",
  },
  {
    key: "connection.targetSessionAttributes",
    kind: choice(["any", "read-write", "read-only", "primary", "standby", "prefer-standby"]),
    variables: [],
    libpq: { variable: "PGTARGETSESSIONATTRS", keyword: "target_session_attrs" },
    default: "any",
    doc: "Which of several hosts will do.",
    example: "read-write",
  },
  {
    key: "connection.tls.mode",
    kind: choice(tlsModes, { "no-verify": "require" }),
    variables: [{ name: "DB_SSL_MODE" }],
    libpq: { variable: "PGSSLMODE", keyword: "sslmode" },
    profiles: { development: "disable", test: "disable", staging: "prefer", production: "verify-full" },
    doc: "libpq's meaning: `require` encrypts and verifies nothing, `verify-full` checks certificate and host name.",
    example: "verify-full",
  },
  {
    key: "connection.tls.allowInsecure",
    kind: boolean,
    variables: [{ name: "DB_ALLOW_INSECURE_TLS" }],
    default: false,
    doc: "Accepts a connection in production that may be unencrypted.",
    example: "true",
  },
  {
    key: "connection.tls.caFile",
    kind: path,
    variables: [{ name: "DB_SSL_ROOT_CERT" }],
    libpq: { variable: "PGSSLROOTCERT", keyword: "sslrootcert" },
    defaultText: "~/.postgresql/root.crt, else the roots of Node",
    doc: "Certificates (PEM) to verify the server with; `system` means the roots of Node.",
    example: "/etc/app/ca.pem",
  },
  {
    key: "connection.tls.certFile",
    kind: path,
    variables: [{ name: "DB_SSL_CERT" }],
    libpq: { variable: "PGSSLCERT", keyword: "sslcert" },
    doc: "The client's certificate (PEM).",
    example: "/etc/app/client.crt",
  },
  {
    key: "connection.tls.keyFile",
    kind: path,
    variables: [{ name: "DB_SSL_KEY" }],
    libpq: { variable: "PGSSLKEY", keyword: "sslkey" },
    doc: "The key of the client's certificate (PEM).",
    example: "/etc/app/client.key",
  },
];
