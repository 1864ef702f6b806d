import type { Client } from "pg";

/** What the server really did for a statement. */
export interface Observation {
  /** The strongest lock on each table of `public`, by qualified name. */
  readonly locks: Readonly<Record<string, string>>;
  /** Tables whose file changed. */
  readonly rewrites: readonly string[];
  /** Tables the server said it verified row by row. */
  readonly scans: readonly string[];
  /** New or rebuilt indexes of tables that were there before. */
  readonly builds: readonly string[];
}

const strength = [
  "AccessShareLock",
  "RowShareLock",
  "RowExclusiveLock",
  "ShareUpdateExclusiveLock",
  "ShareLock",
  "ShareRowExclusiveLock",
  "ExclusiveLock",
  "AccessExclusiveLock",
];

/**
 * Runs `sql` in a transaction, looks at its locks, files and debug messages, and rolls it back. What `preparation`
 * rewrote, read or locked as strongly is not counted.
 */
export async function observe(client: Client, sql: string, preparation: readonly string[] = []): Promise<Observation> {
  const messages: string[] = [];
  const listen = (notice: { message?: string | undefined }): void => void messages.push(notice.message ?? "");
  await client.query("begin");
  try {
    for (const statement of preparation) await client.query(statement);
    const before = await fileNodes(client);
    const indexes = await indexNodes(client);
    await client.query("set local client_min_messages = debug1");
    client.on("notice", listen);
    await client.query(sql);
    await client.query("set local client_min_messages = warning");
    const { rows } = await client.query<{ oid: number; mode: string }>(
      "select relation::int as oid, mode from pg_locks where pid = pg_backend_pid() and locktype = 'relation'",
    );
    const locks: Record<string, string> = {};
    for (const { oid, mode } of rows) {
      const name = before.get(oid)?.name;
      if (!name) continue;
      const held = locks[name];
      if (held === undefined || strength.indexOf(mode) > strength.indexOf(`${held}Lock`)) {
        locks[name] = mode.replace(/Lock$/, "");
      }
    }
    const after = await fileNodes(client);
    const rewrites = [...before].filter(([oid, { node }]) => after.get(oid)?.node !== node && after.has(oid));
    const builds = [...(await indexNodes(client))].filter(([name, node]) => indexes.get(name) !== node);
    const scans = new Set<string>();
    for (const message of messages) {
      const verified = /^verifying table "(\w+)"/.exec(message)?.[1];
      if (verified) scans.add(`public.${verified}`);
      if (message.startsWith("validating foreign key")) scans.add("(foreign key)");
    }
    return {
      locks,
      rewrites: rewrites.map(([, { name }]) => name),
      scans: [...scans],
      builds: builds.map(([name]) => name),
    };
  } finally {
    client.off("notice", listen);
    await client.query("rollback");
  }
}

async function indexNodes(client: Client): Promise<Map<string, number>> {
  const { rows } = await client.query<{ name: string; node: number }>(
    `select i.indexrelid::text as name, pg_relation_filenode(i.indexrelid)::int as node
       from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'public'`,
  );
  return new Map(rows.map(({ name, node }) => [name, node]));
}

async function fileNodes(client: Client): Promise<Map<number, { name: string; node: number }>> {
  const { rows } = await client.query<{ oid: number; name: string; node: number }>(
    `select c.oid::int, n.nspname || '.' || c.relname as name, coalesce(pg_relation_filenode(c.oid), 0)::int as node
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'm', 'p', 'v') and n.nspname = 'public'`,
  );
  return new Map(rows.map(({ oid, name, node }) => [oid, { name, node }]));
}
