import { createPool, type Pool, type PoolOptions } from "@db/pool";
import { selfSigned, startCluster, type TestCluster } from "@db/testkit";
import { chown, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const certificate = selfSigned("localhost");
/** Lets `tls_only` in over TLS alone. */
const hba = "hostnossl all tls_only all reject\nlocal all all trust\nhost all all all trust\n";

let without: TestCluster<0>;
let withTls: TestCluster<0>;
beforeAll(async () => {
  [without, withTls] = await Promise.all([startCluster({ version: 18 }), startCluster({ version: 18, hba })]);
  const { dataDirectory } = withTls.primary;
  const { uid, gid } = await stat(dataDirectory);
  // The server refuses a key that others could read.
  for (const [name, pem] of [
    ["tls.crt", certificate.cert],
    ["tls.key", certificate.key],
  ] as const) {
    const file = join(dataDirectory, name);
    await writeFile(file, pem, { mode: 0o600 });
    await chown(file, uid, gid);
  }
  await withTls.primary.reconfigure({ ssl: "on", ssl_cert_file: "tls.crt", ssl_key_file: "tls.key" });
  await withTls.primary.restart();
  const client = await withTls.primary.connect();
  await client.query("create role tls_only login superuser");
  await client.end();
});
afterAll(async () => {
  await Promise.all([without?.stop(), withTls?.stop()]);
});

function poolOn(cluster: TestCluster<0>, options: Partial<PoolOptions>, user?: string): Pool {
  const url = new URL(cluster.primary.url);
  if (user !== undefined) url.username = user;
  return createPool({ primaryUrl: url.href, probeIntervalMs: 50, retry: false, ...options });
}

async function encrypted(pool: Pool): Promise<boolean | undefined> {
  const { rows } = await pool.query<{ ssl: boolean }>("select ssl from pg_stat_ssl where pid = pg_backend_pid()");
  return rows[0]?.ssl;
}

describe("a server with TLS", () => {
  test.each([
    ["prefer", true],
    ["require", true],
    ["allow", false],
    ["disable", false],
  ] as const)("is reached with %s, encrypted: %s", async (sslMode, expected) => {
    await using pool = poolOn(withTls, { sslMode });
    expect(await encrypted(pool)).toBe(expected);
  });

  test("shares its connections among statements as any other", async () => {
    await using pool = poolOn(withTls, { sslMode: "require" });
    const text = "select $1::int as n, repeat('x', $1 * 1000) as wide";
    for (let round = 0; round < 3; round += 1) {
      const ns = Array.from({ length: 40 }, (_, index) => index);
      const answers = await Promise.all(ns.map(async (n) => (await pool.query<object>(text, [n])).rows));
      expect(answers).toEqual(ns.map((n) => [{ n, wide: "x".repeat(n * 1000) }]));
    }
    expect(pool.stats().total).toBeLessThan(10);
    expect(await encrypted(pool)).toBe(true);
  });

  test("that lets nobody in without it is reached over TLS with allow, the probes included", async () => {
    await using pool = poolOn(withTls, { sslMode: "allow" }, "tls_only");
    await pool.start();
    expect(await encrypted(pool)).toBe(true);
    expect(pool.health().status).toBe("pass");
    await expect(poolOn(withTls, { sslMode: "disable" }, "tls_only").query("select 1")).rejects.toMatchObject({
      code: "28000",
    });
  });

  test("is verified with verify-full", async () => {
    await using trusting = poolOn(withTls, { sslMode: "verify-full", ssl: { ca: certificate.cert } });
    // The certificate names localhost, the URL an address.
    await expect(encrypted(trusting)).rejects.toMatchObject({ code: "ERR_TLS_CERT_ALTNAME_INVALID" });
    const url = new URL(withTls.primary.url);
    url.hostname = "localhost";
    await using named = createPool({ primaryUrl: url.href, sslMode: "verify-full", ssl: { ca: certificate.cert } });
    expect(await encrypted(named)).toBe(true);
    await using wary = createPool({ primaryUrl: url.href, sslMode: "verify-full", retry: false });
    await expect(wary.query("select 1")).rejects.toMatchObject({ code: "DEPTH_ZERO_SELF_SIGNED_CERT" });
  });

  test("whose certificate does not verify is not spoken to without TLS instead", async () => {
    await using pool = poolOn(withTls, { sslMode: "prefer", ssl: { rejectUnauthorized: true } });
    await expect(pool.query("select 1")).rejects.toMatchObject({ code: "DEPTH_ZERO_SELF_SIGNED_CERT" });
  });
});

describe("a server without TLS", () => {
  test.each(["prefer", "allow", "disable"] as const)("is reached with %s, the probes included", async (sslMode) => {
    await using pool = poolOn(without, { sslMode });
    await pool.start();
    expect(await encrypted(pool)).toBe(false);
    expect(pool.stats()).toMatchObject({ total: 1, servers: [{ state: "up", connectionsFailed: 0 }] });
    await using listening = await pool.listen("news", () => undefined);
    expect(listening).toBeDefined();
  });

  test("is refused with require", async () => {
    await using pool = poolOn(without, { sslMode: "require" });
    await expect(pool.query("select 1")).rejects.toThrow("does not support SSL");
  });

  test("has its statements cancelled with prefer", async () => {
    await using pool = poolOn(without, { sslMode: "prefer" });
    const slow = pool.query("select pg_sleep(10)", [], { timeoutMs: 100 });
    await expect(slow).rejects.toMatchObject({ code: "POOL_QUERY_TIMEOUT", cancelled: true });
  });
});
