import type { ConnectionConfig } from "./config.ts";
import { parsePostgresUrl } from "./postgres-url.ts";

/**
 * The variables that make libpq programs (psql, pg_dump) connect to the primary. Hand them to a child process: what
 * stands in arguments can be seen by everyone on the machine.
 */
export function libpqEnvironment(connection: ConnectionConfig): Readonly<Record<string, string>> {
  const reading = parsePostgresUrl(connection.primaryUrl.reveal());
  const password = "url" in reading ? reading.url.password : undefined;
  const { tls } = connection;
  const useHostAddress = tls.serverName !== undefined && tls.serverName !== connection.host;
  return {
    PGHOST: useHostAddress ? tls.serverName : connection.host,
    ...(useHostAddress ? { PGHOSTADDR: connection.host } : {}),
    PGPORT: String(connection.port),
    PGDATABASE: connection.database,
    PGUSER: connection.user,
    ...(password === undefined ? {} : { PGPASSWORD: password }),
    PGAPPNAME: connection.applicationName,
    PGSSLMODE: tls.mode,
    ...(tls.caFile === undefined ? {} : { PGSSLROOTCERT: tls.caFile }),
    ...(tls.certFile === undefined ? {} : { PGSSLCERT: tls.certFile }),
    ...(tls.keyFile === undefined ? {} : { PGSSLKEY: tls.keyFile }),
  };
}
