import { chown, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createBackup, createWalReceiver, openRepository, verifyBackup } from "@db/backup";
import { selfSigned, startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { scratchDirectory } from "./restored-cluster.ts";

const certificate = selfSigned("localhost");
let cluster: TestCluster<0>;
let scratch: Awaited<ReturnType<typeof scratchDirectory>>;
/** Over TLS, of a server whose certificate and name are both checked. */
let url: string;

beforeAll(async () => {
  scratch = await scratchDirectory();
  // In plain text nobody comes in, for replication neither.
  const hba = "hostnossl all tls_only all reject\nlocal all all trust\nhost all all all trust\n";
  cluster = await startCluster({ hba });
  const { dataDirectory } = cluster.primary;
  const { uid, gid } = await stat(dataDirectory);
  for (const [name, pem] of Object.entries({ "tls.crt": certificate.cert, "tls.key": certificate.key })) {
    const file = join(dataDirectory, name);
    await writeFile(file, pem, { mode: 0o600 });
    await chown(file, uid, gid);
  }
  await cluster.primary.reconfigure({ ssl: "on", ssl_cert_file: "tls.crt", ssl_key_file: "tls.key" });
  await cluster.primary.restart();
  const client = await cluster.connect();
  await client.query("create role tls_only login superuser replication");
  // Longer than many stretches of the socket.
  await client.query(
    "create table wide as select n, repeat(md5(n::text), 20) as body from generate_series(1, 60000) n",
  );
  await client.end();
  await writeFile(join(scratch.path, "ca.crt"), certificate.cert);
  url = overTls("localhost", join(scratch.path, "ca.crt"));
});
afterAll(async () => {
  await cluster?.stop();
  await scratch?.[Symbol.asyncDispose]();
});

function overTls(host: string, ca: string): string {
  const address = new URL(cluster.primary.url);
  address.hostname = host;
  address.username = "tls_only";
  address.searchParams.set("sslmode", "verify-full");
  address.searchParams.set("sslrootcert", ca);
  return address.href;
}

test("a backup and its WAL come over TLS as they are, from a server that is who it says", async () => {
  const repository = await openRepository(join(scratch.path, "repository"), { encryptionKey: "5e".repeat(32) });
  const { label, bytes } = await createBackup({ url, repository });
  expect(bytes).toBeGreaterThan(40_000_000);
  // Every file was compared with the server's manifest as it came; now every page.
  await expect(verifyBackup({ repository, label, depth: "deep" })).resolves.toMatchObject({ ok: true, findings: [] });
});

test("the WAL receiver stays connected over TLS", async () => {
  const repository = await openRepository(join(scratch.path, "wal"), { encryptionKey: "5e".repeat(32) });
  await using receiver = createWalReceiver({ url, repository, slot: "over_tls" });
  await receiver.start(AbortSignal.timeout(30_000));
  const client = await cluster.connect();
  await client.query("insert into wide select n, 'later' from generate_series(1, 20000) n");
  const { rows } = await client.query<{ lsn: string }>("select pg_current_wal_flush_lsn()::text as lsn");
  await client.end();
  await receiver.reached(rows[0]!.lsn, AbortSignal.timeout(30_000));
  expect(receiver.status()).toMatchObject({ state: "streaming", reconnects: 0, gaps: [] });
});

test("a server of another name, or with a certificate nobody vouches for, is refused before anything is written", async () => {
  const stranger = join(scratch.path, "stranger.crt");
  await writeFile(stranger, selfSigned("localhost").cert);
  for (const [index, wrong] of [
    overTls("127.0.0.1", join(scratch.path, "ca.crt")),
    overTls("localhost", stranger),
  ].entries()) {
    const location = join(scratch.path, `refused-${index}`);
    await expect(createBackup({ url: wrong, repository: await openRepository(location) })).rejects.toMatchObject({
      code: "BACKUP_CONNECTION",
      hint: expect.any(String) as string,
    });
    await expect(stat(location)).rejects.toMatchObject({ code: "ENOENT" });
  }
});
