import { type AddressReading, readAddresses } from "./address.ts";

/** Keywords that have a place in a URL too, under the same name. */
const parameters: ReadonlySet<string> = new Set([
  "sslmode",
  "sslrootcert",
  "sslcert",
  "sslkey",
  "sslnegotiation",
  "application_name",
  "options",
  "client_encoding",
  "target_session_attrs",
  "load_balance_hosts",
]);

/** Keywords of libpq that are options of the pool instead. */
const instead: Readonly<Record<string, string>> = {
  connect_timeout: "connectTimeoutMs",
  keepalives: "keepAliveMs",
  keepalives_idle: "keepAliveMs",
  passfile: "password",
  service: "primaryUrl",
};

/** True for `host=a,b port=5432 dbname=app`: libpq's other way to say where a server is. */
export function isConninfo(text: string): boolean {
  return !text.includes("://") && /^\s*[a-z_]+\s*=/.test(text);
}

/**
 * Reads a keyword/value connection string, with its lists of hosts and ports.
 *
 * Problems name the keyword and never repeat a value.
 * @see https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE
 */
export function readConninfo(text: string): AddressReading {
  const given = new Map<string, string>();
  const problems: string[] = [];
  const pair = /\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\[\s\S])*)'|((?:[^\s'\\]|\\[\s\S])*))(?=\s|$)/gy;
  let end = 0;
  for (let match = pair.exec(text); match; match = pair.exec(text)) {
    given.set(match[1]!, (match[2] ?? match[3] ?? "").replaceAll(/\\([\s\S])/g, "$1"));
    end = pair.lastIndex;
  }
  if (text.slice(end).trim() !== "") {
    const last = [...given.keys()].at(-1);
    problems.push(`cannot be read after ${last === undefined ? "its beginning" : `"${last}"`}: expected keyword=value`);
  }
  const { host, hostaddr, port, dbname, user, password, ...rest } = Object.fromEntries(given);
  for (const keyword of Object.keys(rest)) {
    if (parameters.has(keyword)) continue;
    const option = instead[keyword];
    problems.push(`has the keyword ${keyword}${option ? `: give ${option} instead` : ", which is not known here"}`);
  }
  const hosts = (hostaddr ?? host ?? "").split(",").map((each) => each.trim());
  const ports = (port ?? "").split(",").map((each) => each.trim());
  if (ports.length > 1 && ports.length !== hosts.length) {
    problems.push(`has ${ports.length} ports for ${hosts.length} hosts: give one, or one for each`);
  }
  if (problems.length > 0) return { addresses: [], problems };
  const login = user === undefined ? "" : `${escape(user)}${password === undefined ? "" : `:${escape(password)}`}@`;
  const list = hosts.map((name, index) => {
    const at = ports.length > 1 ? ports[index] : ports[0];
    return `${name.includes(":") ? `[${name}]` : escape(name)}${at ? `:${at}` : ""}`;
  });
  const search = new URLSearchParams(Object.entries(rest)).toString();
  const path = dbname === undefined ? "" : `/${escape(dbname)}`;
  return readAddresses(`postgres://${login}${list.join(",")}${path}${search === "" ? "" : `?${search}`}`);
}

function escape(text: string): string {
  return encodeURIComponent(text);
}
