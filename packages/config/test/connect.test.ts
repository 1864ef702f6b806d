import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Config, libpqEnvironment, loadConfig, redactError } from "../src/index.ts";

const password = "pass word/%@";
const user = "app user";
const host = "127.0.0.1";
let server: Server;
let port = "";
let started: Readonly<Record<string, string>> = {};
const home = mkdtempSync(join(tmpdir(), "db-config-"));

/** As much of a PostgreSQL as it takes to see who connects: startup, a password in clear text, ready. */
beforeAll(async () => {
  server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (startup) => {
      const words = startup.subarray(8).toString().split("\0");
      started = Object.fromEntries(
        words.flatMap((word, index) => (index % 2 === 0 ? [[word, words[index + 1]!]] : [])),
      );
      socket.write(message("R", Buffer.from([0, 0, 0, 3])));
      socket.once("data", (answer) => {
        const given = answer.subarray(5, -1).toString();
        if (given === password)
          socket.write(Buffer.concat([message("R", Buffer.alloc(4)), message("Z", Buffer.from("I"))]));
        else socket.end(message("E", Buffer.from(`SFATAL\0C28P01\0Mwrong password ${given}\0\0`)));
      });
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, host, resolve);
  });
  port = String((server.address() as { port: number }).port);
});
afterAll(() => {
  server.close();
  rmSync(home, { recursive: true });
});

function message(type: string, body: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(type), length, body]);
}

const write = (name: string, text: string): string => {
  const path = join(home, name);
  writeFileSync(path, text);
  chmodSync(path, 0o600);
  return path;
};
const load = async (env: Readonly<Record<string, string>>): Promise<Config> =>
  (await loadConfig({ env: { DB_PROFILE: "test", ...env }, homeDirectory: home, readFiles: false })).config;

/** Who the server sees when the configured primary is connected to. */
async function connect(config: Config): Promise<unknown> {
  const client = new Client({ connectionString: config.connection!.primaryUrl.reveal() });
  await client.connect();
  await client.end();
  return { user: started["user"], database: started["database"], name: started["application_name"] };
}

const urlOf = (secret: string): string =>
  `postgres://app%20user:${encodeURIComponent(secret)}@${host}:${port}/postgres`;

test("each way to say where the database is reaches it", async () => {
  const without = `postgres://app%20user@${host}:${port}/postgres`;
  const ways: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    url: { DATABASE_URL: `${urlOf(password)}?application_name=ways` },
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
    expect([way, await connect(await load(env))]).toEqual([way, { user, database: "postgres", name: "ways" }]);
  }
});

test("a refused password is not in the error that is shown", async () => {
  const loaded = await loadConfig({
    env: { DB_PROFILE: "test", DATABASE_URL: urlOf("swordfish wrong") },
    readFiles: false,
  });
  const error: unknown = await connect(loaded.config).catch((thrown: unknown) => redactError(thrown, loaded.secrets));
  expect(error).toMatchObject({ code: "28P01" });
  expect(JSON.stringify([error, (error as Error).message, (error as Error).stack])).not.toContain("swordfish");
});

test("the environment for libpq programs names the same server", async () => {
  const config = await load({ DATABASE_URL: urlOf(password) });
  const again = await load(libpqEnvironment(config.connection!));
  expect(await connect(again)).toEqual({ ...((await connect(config)) as object), name: "db" });
});
