import { quoteIdentifier, sqlStateOf, systemClock } from "@db/core";
import { Client } from "pg";

/**
 * Makes a database when it is not there, with the extensions it should have. Safe to repeat, and by several at once.
 * @param adminUrl any database of the same server, as a role that may create databases
 * @returns the URL of the database
 */
export async function ensureDatabase(
  adminUrl: string,
  name: string,
  extensions: readonly string[] = [],
): Promise<string> {
  const url = new URL(adminUrl);
  url.pathname = `/${encodeURIComponent(name)}`;
  await withClient(adminUrl, async (client) => {
    const { rowCount } = await client.query("select from pg_catalog.pg_database where datname = $1", [name]);
    if (rowCount) return;
    await client.query(`create database ${quoteIdentifier(name)}`).catch((error: { code?: string }) => {
      // Somebody else made it in between: 42P04, or 23505 when both were at it at the same moment.
      if (error.code !== "42P04" && error.code !== "23505") throw error;
    });
  });
  await withClient(url.href, async (client) => {
    for (const extension of extensions)
      await client.query(`create extension if not exists ${quoteIdentifier(extension)}`);
  });
  return url.href;
}

/**
 * Waits until a database that was just made can be connected to on a standby, which learns of it a moment later.
 * @throws the server's refusal when it has not come within `timeoutMs`, and at once for any other error
 */
export async function databaseArrived(url: string, timeoutMs: number = 15_000, signal?: AbortSignal): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await withClient(url, async () => undefined);
    } catch (error) {
      if (sqlStateOf(error) !== "3D000" || performance.now() > deadline) throw error;
      await systemClock.sleep(20, signal);
    }
  }
}

async function withClient(url: string, use: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on("error", () => undefined);
  await client.connect();
  try {
    await use(client);
  } finally {
    await client.end();
  }
}
