import { startCluster, startScriptedServer, type ScriptedServer, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { emptyFolder, type Ended, example, runDb } from "./binary.ts";

let cluster: TestCluster<1>;
let old: ScriptedServer;
let folder: Awaited<ReturnType<typeof emptyFolder>>;
const secret = "s3cret-0f-the-role";

beforeAll(async () => {
  folder = await emptyFolder();
  cluster = await startCluster({ replicas: 1 });
  const admin = await cluster.connect();
  await admin.query(`create role plain login password '${secret}'`);
  await admin.query(`create role full_up login password '${secret}' connection limit 0`);
  await admin.end();
  old = await startScriptedServer(async (connection) => {
    await connection.welcome({ parameters: { server_version: "11.22" } });
    await connection.serve(answerAsPostgres11);
  });
});

afterAll(async () => {
  await old?.stop();
  await cluster?.stop();
  await folder?.remove();
});

function url(change: (url: URL) => void): string {
  const made = new URL(cluster.primary.url);
  change(made);
  return made.href;
}

// One row with every column that a first look at a server asks for, under the name it was asked by.
function answerAsPostgres11(statement: string) {
  if (/server_version_num'\)(::int as version|,)/.test(statement))
    return { columns: ["version", "checksums"], rows: [["110022", "off"]] };
  const known: Record<string, string> = {
    inRecovery: "f",
    standby: "f",
    versionNum: "110022",
    version_num: "110022",
    serverVersion: "110022",
    server_version_num: "110022",
    version: "11.22",
    database: "postgres",
    role: "postgres",
    systemIdentifier: "7",
    timeline: "1",
    lsn: "0/1000000",
    in_recovery: "f",
  };
  const columns = Object.keys(known).filter((name) => new RegExp(`\\b${name}\\b`).test(statement));
  return columns.length === 0 ? { tag: "SELECT 0" } : { columns, rows: [columns.map((name) => known[name]!)] };
}

const lookers = [
  ["start", "--port", "0"],
  ["health"],
  ["migrate", "plan", "--dir", `${example}/migrations`],
  ["backup", "run", "--repo", "repository"],
  ["doctor"],
] as const;

function all(databaseUrl: string, commands: readonly (readonly string[])[] = lookers): Promise<readonly Ended[]> {
  const env = { DATABASE_URL: databaseUrl };
  return Promise.all(commands.map((args) => runDb([...args], { cwd: folder.path, env, timeoutMs: 60_000 })));
}

// What holds of every refusal: nothing secret, no stack, no line of a log, and an error that stands last.
function expectOneMessage({ stdout, stderr }: Ended, command: readonly string[]): void {
  const output = stdout + stderr;
  expect(output).not.toContain(secret);
  expect(output).not.toMatch(/\n\s+at .*:\d+:\d+/);
  expect(output).not.toContain('{"level"');
  expect(output).not.toContain("This is a bug");
  if (command[0] !== "doctor") expect(stderr.match(/^error: /gm), output).toHaveLength(1);
}

describe("a database that cannot be connected to", () => {
  const cases: readonly (readonly [string, () => string, RegExp, RegExp])[] = [
    [
      "a wrong password",
      () => url((each) => Object.assign(each, { username: "plain", password: `${secret}-but-wrong` })),
      /password authentication failed for user "plain"/,
      /Check the user and the password/,
    ],
    ["a port where nothing listens", () => url((each) => (each.port = "1")), /ECONNREFUSED/, /Check host and port/],
    [
      "a host that is not known",
      () => url((each) => (each.hostname = "absent.invalid")),
      /absent\.invalid/,
      /host's name/,
    ],
    [
      "an unknown database",
      () => url((each) => (each.pathname = "/absent")),
      /"absent" does not exist/,
      /create that database/,
    ],
    [
      "a role at its limit of connections",
      () => url((each) => Object.assign(each, { username: "full_up", password: secret })),
      /too many connections/,
      /max_connections/,
    ],
  ];

  test.each(cases)("%s ends every command with 6, the reason and what to do", async (_name, make, reason, hint) => {
    const commands = lookers.filter(([name]) => name !== "backup" || !String(reason).includes("too many"));
    const results = await all(make(), commands);
    for (const [index, result] of results.entries()) {
      const command = commands[index]!;
      const output = result.stdout + result.stderr;
      expect(result.code, `${command.join(" ")}:\n${output}`).toBe(6);
      expect(output).toMatch(reason);
      expect(output).toMatch(hint);
      if (command[0] !== "doctor") expect(output).toMatch(/^error: cannot connect to database "\w+" at [\w.]+:\d+: /m);
      expectOneMessage(result, command);
    }
  });

  test("a refused connection of a proxy keeps the proxy's own words", async () => {
    const proxy = await startScriptedServer(async (connection) => {
      await connection.startup();
      connection.error({ severity: "FATAL", code: "08P01", message: "no such user: app" });
    });
    const [health] = await all(proxy.url, [["health"]]);
    await proxy.stop();
    expect(health!.code).toBe(6);
    expect(health!.stderr).toContain("no such user: app");
    expect(health!.stderr).toContain("proxy");
  });
});

describe("a URL that is none", () => {
  test("ends every command with 2 and names the variable, not its password", async () => {
    for (const text of [`postgres//app:${secret}@host`, `postgres://app:${secret}@host:99999/app`]) {
      for (const [index, result] of (await all(text)).entries()) {
        expect(result.code, result.stdout + result.stderr).toBe(2);
        expect(result.stderr).toContain("DATABASE_URL");
        expectOneMessage(result, lookers[index]!);
      }
    }
  });
});

describe("a role without rights", () => {
  const role = (): string => url((each) => Object.assign(each, { username: "plain", password: secret }));

  test("is told what it needs for backups, migrations and monitoring", async () => {
    const [backup, up, doctor, health] = await all(role(), [
      ["backup", "run", "--repo", "repository"],
      ["migrate", "up", "--dir", `${example}/migrations`],
      ["doctor"],
      ["health"],
    ]);
    expect(backup!.code).toBe(1);
    expect(backup!.stderr).toContain("alter role plain replication");
    expectOneMessage(backup!, ["backup"]);
    expect(up!.code).toBe(1);
    expect(up!.stderr).toContain("Grant CREATE on the database");
    expectOneMessage(up!, ["migrate"]);
    expect(doctor!.code).toBe(0);
    for (const grant of [
      'alter role "plain" replication',
      'grant pg_monitor to "plain"',
      'grant create on database "postgres" to "plain"',
    ])
      expect(doctor!.stdout).toContain(grant);
    expect(health!.stdout).toContain('grant pg_monitor to "plain"');
  });
});

describe("a database in recovery", () => {
  test("is looked at and never written to", async () => {
    const standby = cluster.replicas[0].url;
    const [health, up, doctor] = await all(standby, [
      ["health"],
      ["migrate", "up", "--dir", `${example}/migrations`],
      ["doctor"],
    ]);
    expect(health!.stdout).toContain("in recovery");
    expect(up!.code).toBe(1);
    expect(up!.stderr).toMatch(/standby.*\n.*primary/);
    expectOneMessage(up!, ["migrate"]);
    expect(doctor!.stdout).toContain("in recovery");
  });
});

describe("PostgreSQL 11", () => {
  test("is refused with its version by every command", async () => {
    const results = await all(old.url, [...lookers, ["init"]]);
    for (const [index, result] of results.entries()) {
      const command = [...lookers, ["init"]][index]!;
      const output = result.stdout + result.stderr;
      expect(output, command.join(" ")).toMatch(/PostgreSQL 11|110022/);
      expect(output, command.join(" ")).toMatch(/12 (and|or) (later|newer)/);
      expect(result.code, `${command.join(" ")}:\n${output}`).toBe(command[0] === "doctor" ? 0 : 1);
      expectOneMessage(result, command);
    }
  });
});
