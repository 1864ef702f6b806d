/** One server of a connection URL. */
export interface UrlHost {
  /** Host name, address (IPv6 without brackets) or socket directory; empty when not given. */
  readonly host: string;
  readonly port: number | undefined;
}

/** A connection URL taken apart and decoded. */
export interface PostgresUrl {
  readonly hosts: readonly UrlHost[];
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
  /** The rest of the query, in order; a name given twice keeps its last value, as in libpq. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** Either the URL or what is wrong with it. `wrong` never repeats a part that may be secret. */
export type UrlReading = { readonly url: PostgresUrl } | { readonly wrong: string };

/** libpq's names in a query for what also has a place of its own in the URL. */
const placed = Object.freeze(["host", "port", "user", "password", "dbname"] as const);

/**
 * Reads a connection URL as libpq does: several hosts, hosts and sockets in the query, percent-encoding, IPv6 in
 * brackets. `+` is a plus. Unlike libpq, the credentials end at the last `@`, so that a password may hold one.
 * @see https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 */
export function parsePostgresUrl(text: string): UrlReading {
  const scheme = /^postgres(?:ql)?:\/\//i.exec(text.trim())?.[0];
  if (scheme === undefined) return { wrong: "it does not begin with postgres://" };
  const rest = text.trim().slice(scheme.length);
  const slash = rest.indexOf("/");
  const authorityEnd = slash === -1 ? rest.length : slash;
  const at = rest.lastIndexOf("@", authorityEnd - 1);
  const hostStart = at === -1 || at >= authorityEnd ? 0 : at + 1;
  const [, hostText = "", pathText = "", queryText = ""] =
    /^([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(rest.slice(hostStart)) ?? [];
  const [userText, passwordText] = hostStart === 0 ? [] : splitOnce(rest.slice(0, hostStart - 1), ":");

  if (pathText.includes("@"))
    return { wrong: "an @ follows the first slash; write %2F for a slash and %40 for an @ in the password" };
  const parts = [userText, passwordText, pathText, ...queryText.split(/[&=]/)];
  if (!parts.every((part) => part === undefined || decode(part) !== undefined)) {
    return { wrong: "a percent sign is not followed by two hexadecimal digits of UTF-8; write %25 for a percent sign" };
  }
  const parameters = new Map<string, string>();
  for (const pair of queryText.split("&").filter((pair) => pair !== "")) {
    const [name, value] = splitOnce(pair, "=");
    if (value === undefined) return { wrong: "a parameter after the question mark has no value" };
    parameters.set(decode(name)!, decode(value)!);
  }
  const given = Object.fromEntries(placed.map((name) => [name, parameters.get(name)]));
  for (const name of placed) parameters.delete(name);

  if (given.host !== undefined && hostText !== "")
    return { wrong: "the host is given twice, before and after the question mark" };
  const names =
    given.host === undefined ? namesOf(hostText) : given.host.split(",").map((host) => ({ host, port: "" }));
  if (names === undefined) {
    return {
      wrong: "the host cannot be read; write an IPv6 address in brackets and percent-encode special characters",
    };
  }
  const hosts = readHosts(names, given.port);
  if (typeof hosts === "string") return { wrong: hosts };
  return {
    url: {
      hosts,
      user: notEmpty(given.user ?? decoded(userText)),
      password: notEmpty(given.password ?? decoded(passwordText)),
      database: notEmpty(given.dbname ?? decoded(pathText)),
      parameters,
    },
  };
}

/** Writes a URL that pg and libpq read alike. A socket directory and an unusual host go into the query. */
export function formatPostgresUrl(url: PostgresUrl): string {
  const plain = url.hosts.every(({ host }) => /^[\w.-]+$/.test(host) || /^[0-9a-f:.]+$/i.test(host));
  const parameters = new Map(url.parameters);
  let authority = "";
  if (plain) {
    authority = url.hosts
      .map(({ host, port }) => `${host.includes(":") ? `[${host}]` : host}${port === undefined ? "" : `:${port}`}`)
      .join(",");
  } else {
    parameters.set("host", url.hosts.map(({ host }) => host).join(","));
    if (url.hosts.some(({ port }) => port !== undefined)) {
      parameters.set("port", url.hosts.map(({ port }) => port ?? "").join(","));
    }
  }
  const password = url.password === undefined ? "" : `:${encode(url.password)}`;
  const credentials = url.user === undefined && password === "" ? "" : `${encode(url.user ?? "")}${password}@`;
  const query = [...parameters].map(([name, value]) => `${encode(name)}=${encode(value)}`).join("&");
  const database = url.database === undefined ? "" : encode(url.database);
  return `postgres://${credentials}${authority}/${database}${query === "" ? "" : `?${query}`}`;
}

/** A URL for people: no password, no parameters. */
export function describePostgresUrl(url: PostgresUrl): string {
  const shown = url.password === undefined ? undefined : "***";
  // The mask is put in unencoded: it is to be read, not parsed.
  return formatPostgresUrl({ ...url, password: shown, parameters: new Map() }).replace("%2A%2A%2A", "***");
}

/** Splits a list of URLs; a comma between the hosts of one URL does not end it. */
export function splitUrls(text: string): string[] {
  const urls: string[] = [];
  for (const part of text.split(",").map((part) => part.trim())) {
    const last = urls.at(-1);
    const inHosts = last !== undefined && /^[a-z]+:\/\/[^/?]*$/i.test(last) && !/^[a-z]+:\/\//i.test(part);
    if (inHosts) urls[urls.length - 1] = `${last},${part}`;
    else if (part !== "") urls.push(part);
  }
  return urls;
}

interface HostText {
  readonly host: string;
  readonly port: string;
}

/** Splits `h1:5432,[::1]:5433` and decodes the hosts; `undefined` when it cannot be read. */
function namesOf(text: string): readonly HostText[] | undefined {
  const names: HostText[] = [];
  for (const part of text.split(",")) {
    const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/s.exec(part);
    const host = match === null ? undefined : decode(match[1] ?? match[2] ?? "");
    if (host === undefined) return undefined;
    names.push({ host, port: match![3] ?? "" });
  }
  return names;
}

function readHosts(names: readonly HostText[], portParameter: string | undefined): readonly UrlHost[] | string {
  const ports = portParameter?.split(",") ?? [];
  if (ports.length > 1 && ports.length !== names.length) return "the number of ports is not the number of hosts";
  const hosts: UrlHost[] = [];
  for (const [index, { host, port: written }] of names.entries()) {
    const portText = written !== "" ? written : ((ports.length === 1 ? ports[0] : ports[index]) ?? "");
    const port = portText === "" ? undefined : readPort(portText);
    if (portText !== "" && port === undefined) {
      return "the port is not a whole number from 1 to 65535; put IPv6 in brackets, percent-encode special characters";
    }
    if (/[\s@]/.test(host)) return "the host has a space or an @ in it";
    hosts.push({ host, port });
  }
  return hosts;
}

/** A port from 1 to 65535, or `undefined`. */
export function readPort(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text.trim()) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const index = text.indexOf(separator);
  return index === -1 ? [text, undefined] : [text.slice(0, index), text.slice(index + separator.length)];
}

function decode(text: string): string | undefined {
  try {
    const decoded = decodeURIComponent(text);
    return decoded.includes("\u0000") ? undefined : decoded;
  } catch {
    return undefined;
  }
}

function decoded(text: string | undefined): string | undefined {
  return text === undefined ? undefined : decode(text);
}

/** Percent-encodes what encodeURIComponent leaves, too: pg's reader gives some of it a meaning. */
function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function notEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
