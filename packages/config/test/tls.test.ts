import { readFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import { fileURLToPath } from "node:url";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadConfig, toTlsOptions } from "../src/index.ts";

// The key is of no use anywhere else: its authority's key was thrown away.
const at = (name: string): string => fileURLToPath(new URL(`./certificates/${name}`, import.meta.url));
const authority = at("authority.crt");
const other = at("localhost.crt"); // signs nothing

let server: Server;
let port = 0;
let encrypted = 0;
const sockets = new Set<Socket>();

/** Answers SSLRequest with yes, makes TLS, and then any startup with an error: only the handshake is of interest. */
beforeAll(async () => {
  const secureContext = createSecureContext({
    cert: readFileSync(at("localhost.crt")),
    key: readFileSync(at("localhost.key")),
  });
  server = createServer((socket) => {
    sockets.add(socket.on("error", () => undefined));
    socket.once("data", (first) => {
      const isTlsRequest = first.length === 8 && first.readInt32BE(4) === 80_877_103;
      if (!isTlsRequest) return void socket.end(refusal("plain"));
      socket.write("S");
      const secure = new TLSSocket(socket, { isServer: true, secureContext });
      secure.on("error", () => undefined);
      return void secure.once("data", () => {
        encrypted += 1;
        secure.end(refusal("encrypted"));
      });
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  port = (server.address() as { port: number }).port;
});
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

function refusal(message: string): Buffer {
  const body = Buffer.from(`SFATAL\0C28000\0M${message}\0\0`);
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from("E"), length, body]);
}

async function outcome(host: string, query: string, through: "url" | "options"): Promise<string> {
  const env = { DATABASE_URL: `postgres://app:x@${host}:${port}/app${query}` };
  const { connection } = (await loadConfig({ env, readFiles: false, homeDirectory: "/nowhere" })).config;
  const { primaryUrl, tls, user, database } = connection!;
  const client =
    through === "url"
      ? new Client({ connectionString: primaryUrl.reveal() })
      : new Client({ host, port, user, database, password: "x", ssl: toTlsOptions(tls) });
  client.on("error", () => undefined);
  return await client.connect().then(
    () => "connected",
    (error: Error & { code?: string }) => (error.code === "28000" ? error.message : (error.code ?? error.message)),
  );
}

const named = (path: string): string => `&sslrootcert=${encodeURIComponent(path)}`;

test.each<[string, string, string]>([
  ["localhost", "?sslmode=disable", "plain"],
  ["localhost", "?sslmode=require", "encrypted"],
  ["127.0.0.1", "?sslmode=require", "encrypted"],
  ["127.0.0.1", `?sslmode=require${named(authority)}`, "encrypted"],
  ["127.0.0.1", `?sslmode=require${named(other)}`, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
  ["127.0.0.1", `?sslmode=verify-ca${named(authority)}`, "encrypted"],
  ["localhost", "?sslmode=verify-full", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
  ["localhost", `?sslmode=verify-full${named(authority)}`, "encrypted"],
  ["127.0.0.1", `?sslmode=verify-full${named(authority)}`, "ERR_TLS_CERT_ALTNAME_INVALID"],
])("%s%s ends as libpq would: %s", async (host, query, expected) => {
  const before = encrypted;
  expect([await outcome(host, query, "url"), await outcome(host, query, "options")]).toEqual([expected, expected]);
  expect(encrypted - before).toBe(expected === "encrypted" ? 2 : 0);
});
