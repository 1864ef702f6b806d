import { describe, expect, test } from "vitest";
import type { ConnectionConfig } from "./config.ts";
import { ConfigError } from "./errors.ts";
import type { FileContent } from "./file-content.ts";
import { libpqEnvironment } from "./libpq-environment.ts";
import { type ConfigSources, type LoadedConfig, parseConfig } from "./parse.ts";
import { toTlsOptions } from "./tls.ts";

const pem = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----";
const key = "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----";

const files: Readonly<Record<string, FileContent>> = {
  "/home/.pgpass": { text: "db:5432:app:alice:from-pgpass\nr1:*:*:*:for-replica\n", mode: 0o600 },
  "/open/pgpass": { text: "*:*:*:*:exposed-one\n", mode: 0o644 },
  "/home/.pg_service.conf": {
    text:
      "[app]\nhost=service-host\nport=5444\ndbname=service-db\nuser=service-user\n" +
      "password=service-pass\nsslmode=require\nkeepalives=1\n",
  },
  "/etc/pg_service.conf": { text: "[system]\nhost=system-host\n" },
  "/secrets/password": { text: " spaces stay \n" },
  "/secrets/empty": { text: "\n" },
  "/tls/ca.pem": { text: pem },
  "/tls/client.crt": { text: pem },
  "/tls/client.key": { text: key, mode: 0o644 },
  "/tls/other.txt": { text: "no certificate" },
};

function load(environment: Readonly<Record<string, string>>, rest: ConfigSources = {}): LoadedConfig {
  return parseConfig({ environment, homeDirectory: "/home", readFile: (path) => files[path], ...rest });
}

function connect(environment: Readonly<Record<string, string>>, rest: ConfigSources = {}): ConnectionConfig {
  return load(environment, rest).config.connection!;
}

function messages(environment: Readonly<Record<string, string>>): readonly string[] {
  try {
    load(environment);
    return [];
  } catch (error) {
    return (error as ConfigError).problems.map(({ message }) => message);
  }
}

describe("libpq's variables", () => {
  test("all of them count", () => {
    const loaded = load({
      PGHOST: "db",
      PGHOSTADDR: "192.0.2.1",
      PGPORT: "5433",
      PGUSER: "alice",
      PGDATABASE: "app",
      PGPASSWORD: "swordfish",
      PGSSLMODE: "verify-full",
      PGSSLROOTCERT: "/tls/ca.pem",
      PGSSLCERT: "/tls/client.crt",
      PGSSLKEY: "/tls/client.key",
      PGAPPNAME: "billing",
      PGCONNECT_TIMEOUT: "7",
      PGOPTIONS: "-c search_path=app",
      PGTARGETSESSIONATTRS: "read-write",
    });
    const connection = loaded.config.connection!;
    expect(connection).toMatchObject({
      host: "192.0.2.1",
      port: 5433,
      user: "alice",
      database: "app",
      applicationName: "billing",
      targetSessionAttributes: "read-write",
      tls: { mode: "verify-full", serverName: "db", ca: pem, cert: pem },
    });
    expect(connection.tls.key!.reveal()).toBe(key);
    expect(loaded.config.pool.connectTimeoutMs).toBe(7_000);
    expect(loaded.warnings).toMatchObject([{ id: "CONFIG-KEY-FILE" }]);
    expect(connection.primaryUrl.reveal()).toBe(
      "postgres://alice:swordfish@192.0.2.1:5433/app?application_name=billing&options=-c%20search_path%3Dapp" +
        "&sslmode=verify-full&sslrootcert=%2Ftls%2Fca.pem&sslcert=%2Ftls%2Fclient.crt&sslkey=%2Ftls%2Fclient.key",
    );
  });

  test("a connect timeout of 0 has no limit, in a URL too", () => {
    expect(load({ PGHOST: "db", PGCONNECT_TIMEOUT: "0" }).config.pool.connectTimeoutMs).toBe(Infinity);
    expect(load({ DATABASE_URL: "postgres://db/a?connect_timeout=0" }).config.pool.connectTimeoutMs).toBe(Infinity);
  });

  test("an address of libpq's does not redirect a host that was set above", () => {
    expect(connect({ DATABASE_URL: "postgres://db/app", PGHOSTADDR: "192.0.2.1" }).host).toBe("db");
  });

  test("what a URL leaves out comes from them", () => {
    const connection = connect({ DATABASE_URL: "postgres://db/", PGUSER: "alice", PGPASSWORD: "x y", PGPORT: "5433" });
    expect(connection.primaryUrl.reveal()).toBe("postgres://alice:x%20y@db:5433/alice?sslmode=disable");
  });

  test("the role defaults to the system's user, and the database to the role", () => {
    expect(connect({ PGHOST: "db" }, { userName: "bob" })).toMatchObject({ user: "bob", database: "bob" });
  });
});

describe("several hosts", () => {
  test("give a primary and the others in order, each with its port", () => {
    const connection = connect({ DATABASE_URL: "postgres://alice@h1:5432,h2,[::1]:5433/app" });
    expect([connection.primaryUrl, ...connection.fallbackUrls].map(String)).toEqual([
      "postgres://alice@h1:5432/app",
      "postgres://alice@h2:5432/app",
      "postgres://alice@[::1]:5433/app",
    ]);
  });

  test("need as many ports as hosts, or one", () => {
    expect(connect({ PGHOST: "a,b", PGPORT: "5433" }).fallbackUrls.map(String)).toEqual([
      expect.stringContaining("b:5433"),
    ]);
    expect(messages({ PGHOST: "a,b,c", PGPORT: "1,2" })).toEqual([expect.stringContaining("PGPORT")]);
  });
});

describe("the password file", () => {
  test("is asked for the primary and for each replica", () => {
    const loaded = load({ DATABASE_URL: "postgres://alice@db/app", READ_REPLICA_URLS: "postgres://r1,postgres://r2" });
    const { primaryUrl, replicaUrls } = loaded.config.connection!;
    expect([primaryUrl, ...replicaUrls].map((url) => url.reveal())).toEqual([
      "postgres://alice:from-pgpass@db:5432/app?sslmode=disable",
      "postgres://alice:for-replica@r1:5432/app?sslmode=disable",
      "postgres://alice:from-pgpass@r2:5432/app?sslmode=disable",
    ]);
    expect(loaded.explain("connection.password")).toMatchObject({
      value: "***",
      source: { name: "the password file" },
    });
    expect(loaded.secrets.map((secret) => secret.reveal())).toContain("from-pgpass");
  });

  test("is not asked when a password was given", () => {
    expect(connect({ DATABASE_URL: "postgres://alice:own@db/app" }).primaryUrl.reveal()).toContain("alice:own@");
  });

  test("that others may read is not used, and told", () => {
    const loaded = load({ DATABASE_URL: "postgres://alice@db/app", PGPASSFILE: "/open/pgpass" });
    expect(loaded.config.connection!.primaryUrl.reveal()).not.toContain("exposed-one");
    expect(loaded.warnings).toMatchObject([{ id: "CONFIG-PASSWORD-FILE", command: "chmod 0600 /open/pgpass" }]);
  });

  test("a replica with a role of its own does not get the primary's password", () => {
    const [replica] = connect({
      DATABASE_URL: "postgres://alice:own@db/app",
      READ_REPLICA_URLS: "postgres://bob@r9",
    }).replicaUrls;
    expect(replica!.reveal()).toBe("postgres://bob@r9:5432/app?sslmode=disable");
  });
});

describe("a service", () => {
  test("gives its values, which libpq's variables do not beat", () => {
    const loaded = load({ PGSERVICE: "app", PGHOST: "other", PGUSER: "other" });
    expect(loaded.config.connection!.primaryUrl.reveal()).toBe(
      "postgres://service-user:service-pass@service-host:5444/service-db?uselibpqcompat=true&sslmode=require",
    );
    expect(loaded.explain("connection.host")).toMatchObject({
      source: { level: "libpq", name: "service app (host)", location: "/home/.pg_service.conf" },
      beaten: [{ value: "other" }, { value: "localhost" }],
    });
    expect(loaded.warnings.map(({ id }) => id)).toEqual(["CONFIG-SERVICE-KEYWORD", "CONFIG-TLS-UNVERIFIED"]);
  });

  test("is looked for in the system's file, too", () => {
    expect(connect({ PGSERVICE: "system", PGSYSCONFDIR: "/etc" }).host).toBe("system-host");
  });

  test("that is nowhere is a problem", () => {
    expect(messages({ PGSERVICE: "nowhere" })).toEqual([expect.stringContaining("PGSERVICE")]);
  });

  test("is left out when a URL stands above, so that no password goes astray", () => {
    const loaded = load({ DATABASE_URL: "postgres://db/app", PGSERVICE: "app" });
    expect(loaded.config.connection!.primaryUrl.reveal()).not.toContain("service");
    expect(loaded.warnings).toMatchObject([{ id: "CONFIG-CONNECTION-LEFT-OUT", subject: "PGSERVICE" }]);
  });

  test("named by a flag leaves the URL of the environment out", () => {
    const connection = connect(
      { DATABASE_URL: "postgres://alice:own@db/app" },
      { flags: { "connection.service": "app" } },
    );
    expect(connection.host).toBe("service-host");
    expect(connection.primaryUrl.reveal()).not.toContain("own");
  });

  test("can be named in the URL that it completes", () => {
    expect(connect({ DATABASE_URL: "postgres://alice@/?service=app", PGSERVICE: "system" })).toMatchObject({
      host: "service-host",
      user: "alice",
      database: "service-db",
    });
  });
});

test("a URL on a higher level leaves all of the lower one out", () => {
  const connection = connect(
    { DATABASE_URL: "postgres://alice:own@db/app" },
    { flags: { connection: { url: "postgres://flag/" } }, userName: "bob" },
  );
  expect(connection.primaryUrl.reveal()).toBe("postgres://bob@flag:5432/bob?sslmode=disable");
});

describe("secrets from files", () => {
  test("lose their last line break and nothing else", () => {
    const connection = connect({ DB_HOST: "db", DB_USER: "alice", DB_PASSWORD_FILE: "/secrets/password" });
    expect(connection.primaryUrl.reveal()).toBe("postgres://alice:%20spaces%20stay%20@db:5432/alice?sslmode=disable");
  });

  test("work for whole URLs and name their variable", () => {
    const loaded = load(
      { DATABASE_URL_FILE: "url" },
      { cwd: "/run", readFile: (path) => (path === "/run/url" ? { text: "postgres://a:b@db/app\n" } : undefined) },
    );
    expect(loaded.explain("connection.host").source.name).toBe("DATABASE_URL_FILE (host)");
  });

  test.each([
    ["/secrets/none", "does not exist"],
    ["/secrets/empty", "is empty"],
  ])("%s is a problem of the variable that names it", (path, reason) => {
    expect(messages({ DB_HOST: "db", DB_PASSWORD_FILE: path })).toEqual([
      expect.stringMatching(`DB_PASSWORD_FILE.*${reason}`),
    ]);
  });

  test("beside the variable itself must agree with it", () => {
    expect(messages({ DB_HOST: "db", DB_PASSWORD: "other", DB_PASSWORD_FILE: "/secrets/password" })).toHaveLength(1);
  });
});

describe("TLS", () => {
  const modeOf = (query: string, more: Readonly<Record<string, string>> = {}): ConnectionConfig["tls"] =>
    connect({ DATABASE_URL: `postgres://db.example.com/app${query}`, ...more }).tls;

  test.each([
    ["?sslmode=disable", "disable", false, false],
    ["?sslmode=prefer", "prefer", false, false],
    ["?sslmode=require", "require", false, false],
    ["?sslmode=no-verify", "require", false, false],
    ["?sslmode=require&sslrootcert=/tls/ca.pem", "require", true, false],
    ["?sslmode=verify-ca&sslrootcert=/tls/ca.pem", "verify-ca", true, false],
    ["?sslmode=verify-full", "verify-full", true, true],
    ["?ssl=true", "verify-full", true, true],
    ["?ssl=false", "disable", false, false],
  ])("%s is %s: certificate %s, name %s", (query, mode, rejectUnauthorized, checkServerName) => {
    expect(modeOf(query)).toMatchObject({ mode, rejectUnauthorized, checkServerName });
  });

  test("becomes the options of pg", () => {
    expect(toTlsOptions(modeOf("?sslmode=disable"))).toBe(false);
    expect(toTlsOptions(modeOf("?sslmode=verify-full", { DB_SSL_ROOT_CERT: "/tls/ca.pem" }))).toEqual({
      rejectUnauthorized: true,
      ca: pem,
      servername: "db.example.com",
    });
    const byAuthority = toTlsOptions(modeOf("?sslmode=verify-ca&sslrootcert=/tls/ca.pem"));
    expect(byAuthority && byAuthority.checkServerIdentity?.()).toBeUndefined();
  });

  test("the word system means the roots of Node", () => {
    expect(modeOf("?sslmode=verify-full&sslrootcert=system")).toMatchObject({ ca: undefined, caFile: undefined });
  });

  test("a file without a certificate is a problem", () => {
    expect(messages({ DATABASE_URL: "postgres://db/app?sslmode=verify-full&sslrootcert=/tls/other.txt" })).toEqual([
      expect.stringContaining("PEM"),
    ]);
    expect(messages({ DATABASE_URL: "postgres://db/app", DB_SSL_ROOT_CERT: "/tls/none" })).toEqual([
      expect.stringContaining("DB_SSL_ROOT_CERT"),
    ]);
  });

  test("libpq's default root certificate is used where it is needed", () => {
    const readFile = (path: string): FileContent | undefined =>
      path === "/home/.postgresql/root.crt" ? { text: pem } : undefined;
    expect(connect({ DATABASE_URL: "postgres://db/app?sslmode=verify-ca" }, { readFile }).tls.caFile).toBe(
      "/home/.postgresql/root.crt",
    );
    expect(connect({ DATABASE_URL: "postgres://db/app?sslmode=require" }, { readFile }).tls.rejectUnauthorized).toBe(
      false,
    );
  });

  test("a socket is not encrypted", () => {
    expect(connect({ PGHOST: "/var/run/postgresql", PGSSLMODE: "require" }).tls.mode).toBe("disable");
  });
});

test("parameters that mean nothing here are told, those of pg stay in the URL", () => {
  const loaded = load({ DATABASE_URL: "postgres://db/app?statement_timeout=5000&keepalives=1&sslmod=disable" });
  expect(loaded.config.connection!.primaryUrl.reveal()).toContain("statement_timeout=5000");
  expect(loaded.warnings.map(({ id, hint }) => [id, hint])).toEqual([
    ["CONFIG-PARAMETER-UNUSED", undefined],
    ["CONFIG-PARAMETER-UNKNOWN", "Did you mean sslmode?"],
  ]);
});

test("libpq programs get the connection by their environment", () => {
  const connection = connect({ DATABASE_URL: "postgres://alice:own@db:5433/app?sslmode=require" });
  expect(libpqEnvironment(connection)).toEqual({
    PGHOST: "db",
    PGPORT: "5433",
    PGDATABASE: "app",
    PGUSER: "alice",
    PGPASSWORD: "own",
    PGAPPNAME: "db",
    PGSSLMODE: "require",
  });
});
