import { type Config, Secret } from "@db/config";
import { connectionOf } from "../pool-options.ts";
import { type FaultGate, openFaultGate } from "./fault-gate.ts";

/** A configuration that differs from the one in force in one thing: the way to the primary leads through a gate. */
export interface GatedConfig {
  readonly gate: FaultGate;
  readonly config: Config;
}

/** @throws {NotConfiguredError} when the configuration names no database */
export async function gateConfig(config: Config): Promise<GatedConfig> {
  const connection = connectionOf(config);
  const { host, port } = connection;
  const gate = await openFaultGate(host.startsWith("/") ? { path: `${host}/.s.PGSQL.${port}` } : { host, port });
  const url = new URL(connection.primaryUrl.reveal());
  url.hostname = "127.0.0.1";
  url.port = String(gate.port);
  // What TLS it wants and whose certificate it expects stands in `tls`; said in the URL, pg would look for this address.
  for (const name of saidElsewhere) url.searchParams.delete(name);
  return {
    gate,
    config: {
      ...config,
      connection: { ...connection, host: "127.0.0.1", port: gate.port, primaryUrl: new Secret(url.href), ...alone },
    },
  };
}

const saidElsewhere = "host hostaddr port sslmode uselibpqcompat sslrootcert sslcert sslkey".split(" ");
const alone = { fallbackUrls: [], replicaUrls: [] };
