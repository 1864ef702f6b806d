/** What a password is looked up by. */
export interface PasswordQuery {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/**
 * The password for a connection in libpq's password file: lines `host:port:database:user:password`, `*` matches
 * anything, a backslash takes the next character as it is, the first line that matches counts. A socket directory
 * is looked up as `localhost`, too.
 * @see https://www.postgresql.org/docs/current/libpq-pgpass.html
 */
export function findPassword(text: string, query: PasswordQuery): string | undefined {
  const hosts = query.host.startsWith("/") ? [query.host, "localhost"] : [query.host];
  for (const line of text.replace(/^\uFEFF/, "").split(/\r?\n/)) {
    if (line.startsWith("#")) continue;
    const fields = splitFields(line);
    if (fields === undefined) continue;
    const [host, port, database, user] = fields.matched;
    const fits =
      hosts.some((name) => matches(host, name)) &&
      matches(port, String(query.port)) &&
      matches(database, query.database) &&
      matches(user, query.user);
    if (fits) return fields.password === "" ? undefined : fields.password;
  }
  return undefined;
}

/** True for permissions that libpq refuses: any for group or others. */
export function isExposed(mode: number | undefined): boolean {
  return mode !== undefined && (mode & 0o077) !== 0;
}

interface Field {
  readonly text: string;
  readonly isWildcard: boolean;
}

function splitFields(
  line: string,
): { readonly matched: readonly [Field, Field, Field, Field]; readonly password: string } | undefined {
  const fields: Field[] = [];
  let rest = line;
  for (let index = 0; index < 4; index += 1) {
    const match = /^((?:\\.|[^:\\])*):/s.exec(rest);
    if (match === null) return undefined;
    fields.push({ text: unescape(match[1]!), isWildcard: match[1] === "*" });
    rest = rest.slice(match[0].length);
  }
  const password = /^(?:\\.|[^:\\]|\\$)*/s.exec(rest)?.[0] ?? "";
  return { matched: fields as unknown as readonly [Field, Field, Field, Field], password: unescape(password) };
}

function matches(field: Field, value: string): boolean {
  return field.isWildcard || field.text === value;
}

function unescape(text: string): string {
  return text.replace(/\\(.)/gs, "$1");
}
