import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { Client } from "pg";
import { afterAll, expect, test, vi } from "vitest";
import { loadConfig, parseConfig } from "../src/index.ts";

interface Parameters {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string | null;
  readonly database: string;
  readonly ssl: boolean | { readonly rejectUnauthorized?: boolean; readonly ca?: string };
}

/** How node-postgres reads a URL. */
function readByPg(connectionString: string): Parameters {
  const client = new Client({ connectionString });
  return (client as unknown as { connectionParameters: Parameters }).connectionParameters;
}

const directory = mkdtempSync(join(tmpdir(), "db-config-"));
const ca = join(directory, "ca.pem");
writeFileSync(ca, "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n");
afterAll(() => rmSync(directory, { recursive: true }));

test("node-postgres reads from our URL what went into it", () => {
  const text = fc
    .string({ unit: "grapheme", minLength: 1, maxLength: 12 })
    .filter((part) => /^[^\p{C}]+$/u.test(part) && part.trim() !== "");
  // A path of a URL cannot say "." and "..", and pg does not decode these characters in it; libpq does.
  const database = text.filter((part) => !/[;/?:@&=+$,#]|^\s*\.\.?\s*$/.test(part));
  const host = fc.constantFrom("db", "db.example.com", "192.0.2.1", "::1", "/var/run/postgresql");
  fc.assert(
    fc.property(text, text, database, host, fc.integer({ min: 1, max: 65_535 }), (user, password, name, at, port) => {
      const environment = { DB_USER: user, DB_PASSWORD: password, DB_NAME: name, DB_HOST: at, DB_PORT: String(port) };
      const connection = parseConfig({ environment }).config.connection!;
      const read = readByPg(connection.primaryUrl.reveal());
      expect(read).toMatchObject({ user: user.trim(), database: name.trim(), port, host: at });
      expect(read.password).toBe(password);
    }),
    { numRuns: 500 },
  );
});

test.each<[string, Parameters["ssl"]]>([
  ["disable", false],
  ["require", { rejectUnauthorized: false }],
  ["verify-ca", {}],
  ["verify-full", {}],
])("node-postgres takes our sslmode %s as libpq would, without a warning", async (mode, ssl) => {
  const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
  const env = {
    DATABASE_URL: `postgres://db/app?sslmode=${mode}`,
    ...(mode.startsWith("verify") ? { DB_SSL_ROOT_CERT: ca } : {}),
  };
  const { config } = await loadConfig({ env, readFiles: false });
  const read = readByPg(config.connection!.primaryUrl.reveal()).ssl;
  if (ssl === false) expect(read).toBe(false);
  else {
    expect((read as { rejectUnauthorized?: boolean }).rejectUnauthorized).toBe(
      (ssl as { rejectUnauthorized?: boolean }).rejectUnauthorized,
    );
    expect((read as { ca?: string }).ca).toBe(mode.startsWith("verify") ? config.connection!.tls.ca + "\n" : undefined);
  }
  expect(warn).not.toHaveBeenCalled();
  warn.mockRestore();
});
