import { Client } from "pg";
import { describe, expect, test } from "vitest";
import { protocol, type Script, startScriptedServer } from "@db/testkit";

async function withClient<T>(script: Script, use: (client: Client) => Promise<T>): Promise<T> {
  await using server = await startScriptedServer(script);
  const client = new Client({ connectionString: server.url });
  client.on("error", () => undefined);
  try {
    return await use(client);
  } finally {
    await client.end().catch(() => undefined);
    expect(server.errors).toEqual([]);
  }
}

describe("startScriptedServer", () => {
  test("announces any version", async () => {
    const version = await withClient(
      async (connection) => {
        await connection.welcome({ parameters: { server_version: "11.22" } });
        await connection.serve(() => ({ columns: ["server_version"], rows: [["11.22"]] }));
      },
      async (client) => {
        await client.connect();
        return (await client.query("show server_version")).rows;
      },
    );
    expect(version).toEqual([{ server_version: "11.22" }]);
  });

  test("answers parameterised statements with their values", async () => {
    const rows = await withClient(
      async (connection) => {
        await connection.welcome();
        await connection.serve((statement, values) => ({
          columns: ["said", "first"],
          rows: [[statement, values[0]!]],
        }));
      },
      async (client) => {
        await client.connect();
        return (await client.query("select $1", ["seven"])).rows;
      },
    );
    expect(rows).toEqual([{ said: "select $1", first: "seven" }]);
  });

  test("refuses a connection with any SQLSTATE", async () => {
    for (const code of ["57P03", "53300"]) {
      await withClient(
        async (connection) => {
          await connection.startup();
          connection.error({ severity: "FATAL", code, message: "not now" });
        },
        async (client) => {
          await expect(client.connect()).rejects.toMatchObject({ code, severity: "FATAL" });
        },
      );
    }
  });

  test("fails a statement and goes on with the next", async () => {
    await withClient(
      async (connection) => {
        await connection.welcome();
        await connection.serve((statement) =>
          statement.includes("bad") ? { error: { code: "40001", message: "again" } } : { tag: "SELECT 0" },
        );
      },
      async (client) => {
        await client.connect();
        await expect(client.query("bad $1", [1])).rejects.toMatchObject({ code: "40001" });
        await expect(client.query("bad")).rejects.toMatchObject({ code: "40001" });
        await expect(client.query("good")).resolves.toBeDefined();
      },
    );
  });

  test("sends garbage and resets on command", async () => {
    await withClient(
      async (connection) => {
        await connection.welcome();
        await connection.read();
        // A message that claims to be longer than what follows: pg waits for the rest.
        connection.send(protocol.message("T", Buffer.alloc(100)).subarray(0, 20));
        connection.reset();
      },
      async (client) => {
        await client.connect();
        await expect(client.query("select 1")).rejects.toBeInstanceOf(Error);
      },
    );
  });
});
