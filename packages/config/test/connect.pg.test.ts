import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startCluster, type TestCluster } from "@db/testkit";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Config, libpqEnvironment, loadConfig, redactError } from "../src/index.ts";

let cluster: TestCluster;
const home = mkdtempSync(join(tmpdir(), "db-config-"));
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(async () => {
  rmSync(home, { recursive: true });
  await cluster[Symbol.asyncDispose]();
});

const write = (name: string, text: string): string => {
  const path = join(home, name);
  writeFileSync(path, text);
  chmodSync(path, 0o600);
  return path;
};
const load = async (env: Readonly<Record<string, string>>): Promise<Config> =>
  (await loadConfig({ env: { DB_PROFILE: "test", ...env }, homeDirectory: home, readFiles: false })).config;

/** Who answers at the configured primary, as which role. */
async function ask(config: Config): Promise<unknown> {
  const client = new Client({ connectionString: config.connection!.primaryUrl.reveal() });
  await client.connect();
  try {
    const { rows } = await client.query(
      "select current_database() as database, current_user as user, current_setting('application_name') as name",
    );
    return rows[0];
  } finally {
    await client.end();
  }
}

test("each way to say where the database is reaches it", async () => {
  const url = new URL(cluster.primary.url);
  const { hostname: host, port, username: user } = url;
  const password = decodeURIComponent(url.password);
  const without = `postgres://${user}@${host}:${port}/postgres`;
  const ways: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    url: { DATABASE_URL: `${cluster.primary.url}?application_name=ways` },
    parts: {
      DB_HOST: host,
      DB_PORT: port,
      DB_NAME: "postgres",
      DB_USER: user,
      DB_PASSWORD: password,
      PGAPPNAME: "ways",
    },
    "URL and password file of libpq": {
      DATABASE_URL: without,
      PGAPPNAME: "ways",
      PGPASSFILE: write("pgpass", `*:${port}:*:*:${password}\n`),
    },
    "secret from a file": {
      DATABASE_URL: without,
      DB_PASSWORD_FILE: write("password", `${password}\n`),
      PGAPPNAME: "ways",
    },
    "variables of libpq": {
      PGHOST: host,
      PGPORT: port,
      PGUSER: user,
      PGDATABASE: "postgres",
      PGPASSWORD: password,
      PGAPPNAME: "ways",
    },
    service: {
      PGSERVICE: "here",
      PGSERVICEFILE: write(
        "service.conf",
        `[here]\nhost=${host}\nport=${port}\nuser=${user}\ndbname=postgres\npassword=${password}\napplication_name=ways\n`,
      ),
    },
  };
  for (const [way, env] of Object.entries(ways)) {
    expect([way, await ask(await load(env))]).toEqual([way, { database: "postgres", user, name: "ways" }]);
  }
});

test("a refused password is not in the error that is shown", async () => {
  const url = new URL(cluster.primary.url);
  url.password = "swordfish-wrong";
  const loaded = await loadConfig({ env: { DB_PROFILE: "test", DATABASE_URL: url.href }, readFiles: false });
  const error: unknown = await ask(loaded.config).catch((thrown: unknown) => redactError(thrown, loaded.secrets));
  expect(error).toMatchObject({ code: "28P01" });
  expect(JSON.stringify([error, (error as Error).message, (error as Error).stack])).not.toContain("swordfish");
});

test("the environment for libpq programs names the same server", async () => {
  const config = await load({ DATABASE_URL: cluster.primary.url });
  const again = await load(libpqEnvironment(config.connection!));
  expect(await ask(again)).toEqual({ ...((await ask(config)) as object), name: "db" });
});
