import { type SslMode, sslModes } from "./tls-mode.ts";

/** Where one server listens, as read from a URL. The password stays in the URL, which is never shown. */
export interface ServerAddress {
  /** `host:port`, the name used in messages, events and metrics. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly database: string | undefined;
  /** The URL of this one server. Not enumerable: it holds the password. */
  readonly url: string;
}

/** A URL read into its servers, or everything that is wrong with it. */
export interface AddressReading {
  readonly addresses: readonly ServerAddress[];
  readonly problems: readonly string[];
}

/**
 * Reads a `postgres://` URL, with libpq's list of hosts (`postgres://user@h1:5432,h2:5433/db`) and its socket
 * directories (`postgres:///db?host=/run/postgresql`, `postgres://%2Frun%2Fpostgresql/db`).
 *
 * Problems name the part that is wrong and never repeat user, password or parameters.
 * @see https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 */
export function readAddresses(text: string): AddressReading {
  const parts = /^([^:/?#]*):\/\/(?:([^@/]*)@)?([^/?#]*)(\/[^?#]*)?(\?[^#]*)?$/.exec(text.trim());
  if (!parts) {
    return problem(
      text.includes("://") ? "is no URL: expected user:password@host:port/database" : "has no postgres:// scheme",
    );
  }
  const [, scheme = "", credentials, hostList = "", path = "", search = ""] = parts;
  const problems: string[] = [];
  if (scheme !== "postgres" && scheme !== "postgresql") problems.push(`has the scheme "${scheme}", not postgres`);
  if (credentials !== undefined && !decodes(credentials)) {
    problems.push("has a user or password with a broken percent escape");
  }
  const database = path.length > 1 ? path.slice(1) : undefined;
  if (database !== undefined && !decodes(database)) problems.push("has a database name with a broken percent escape");
  const parameters = new URLSearchParams(search);
  const sslMode = parameters.get("sslmode");
  // pg would connect without TLS for a word it does not know.
  if (sslMode !== null && !sslModes.includes(sslMode as SslMode) && sslMode !== "no-verify") {
    problems.push(`has the sslmode "${sslMode}", not one of ${sslModes.join(", ")}`);
  }
  const addresses: ServerAddress[] = [];
  for (const hostAndPort of hostsOf(hostList, parameters)) {
    const reading = readHost(hostAndPort, parameters);
    if (typeof reading === "string") {
      problems.push(reading);
      continue;
    }
    const login = credentials === undefined ? "" : `${credentials}@`;
    addresses.push(
      address({
        ...reading,
        database: database === undefined || !decodes(database) ? undefined : decodeURIComponent(database),
        url: `${scheme}://${login}${hostAndPort}${path}${hostList === "" && hostAndPort !== "" ? withoutHosts(parameters) : search}`,
      }),
    );
  }
  return problems.length > 0 ? { addresses: [], problems } : { addresses, problems };
}

/** libpq also takes its lists as parameters: `postgres:///db?host=h1,h2&port=1,2`. */
function hostsOf(hostList: string, parameters: URLSearchParams): string[] {
  const hosts = parameters.get("host")?.split(",") ?? [];
  if (hostList !== "" || hosts.length < 2) return hostList.split(",");
  const ports = parameters.get("port")?.split(",") ?? [];
  return hosts.map((host, index) => {
    const port = ports.length > 1 ? ports[index] : ports[0];
    return port ? `${encodeURIComponent(host)}:${port}` : encodeURIComponent(host);
  });
}

function readHost(text: string, parameters: URLSearchParams): { host: string; port: number } | string {
  const match = /^(\[[0-9A-Fa-f:.%]+\]|[^:[\]]*)(?::(.*))?$/.exec(text);
  if (!match) return `has a host that cannot be read: "${text}"`;
  const [, rawHost = "", rawPort = ""] = match;
  if (!decodes(rawHost)) return "has a host with a broken percent escape";
  const host = decodeURIComponent(rawHost).replace(/^\[|\]$/g, "") || parameters.get("host") || "localhost";
  const portText = rawPort || parameters.get("port") || "5432";
  const port = Number(portText);
  if (!/^\d+$/.test(portText) || port < 1 || port > 65_535) return `has the port "${portText}", not 1 to 65535`;
  return /\s/.test(host) ? `has a host with a space: "${host}"` : { host, port };
}

function withoutHosts(parameters: URLSearchParams): string {
  const rest = new URLSearchParams(parameters);
  rest.delete("host");
  rest.delete("port");
  return rest.size === 0 ? "" : `?${rest.toString()}`;
}

/** Makes an address whose URL does not show when it is printed or serialised. */
export function address(of: Omit<ServerAddress, "name">): ServerAddress {
  const { url, host, port, database } = of;
  const shown = { name: `${host.includes(":") ? `[${host}]` : host}:${port}`, host, port, database };
  return Object.defineProperty(shown, "url", { value: url, enumerable: false }) as ServerAddress;
}

function problem(text: string): AddressReading {
  return { addresses: [], problems: [text] };
}

function decodes(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
