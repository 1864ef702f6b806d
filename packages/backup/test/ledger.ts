import type { Client } from "pg";

/** One committed row: what the server says of its transaction. */
export interface LedgerEntry {
  readonly n: number;
  /** Commit time with microseconds, UTC. */
  readonly at: string;
  readonly xid: string;
  /** A position behind the commit and before the next one. */
  readonly lsn: string;
}

/** Rows that know when they were committed: the truth a recovery is measured by. */
export class Ledger {
  readonly entries: LedgerEntry[] = [];

  static async create(client: Client): Promise<Ledger> {
    await client.query("create table ledger (n int primary key)");
    return new Ledger();
  }

  /** Commits one row in a transaction of its own. */
  async add(client: Client): Promise<LedgerEntry> {
    const n = this.entries.length + 1;
    await client.query("insert into ledger values ($1)", [n]);
    const { rows } = await client.query<{ lsn: string; xid: string; at: string }>(
      `select pg_current_wal_insert_lsn()::text as lsn, xmin::text as xid,
              to_char(pg_xact_commit_timestamp(xmin) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at
         from ledger where n = $1`,
      [n],
    );
    const entry = { n, ...rows[0]! };
    this.entries.push(entry);
    return entry;
  }

  async addMany(client: Client, count: number): Promise<LedgerEntry> {
    for (let left = count; left > 1; left--) await this.add(client);
    return this.add(client);
  }

  /** What must be there when everything up to row `n` was committed. */
  upTo(n: number): number[] {
    return this.entries.filter((entry) => entry.n <= n).map((entry) => entry.n);
  }
}

/** The rows a restored server has. */
export async function ledgerRows(client: Pick<Client, "query">): Promise<number[]> {
  const { rows } = await client.query<{ n: number }>("select n from ledger order by n");
  return rows.map(({ n }) => n);
}

/** Writes enough WAL to fill segments. */
export async function fillWal(client: Client, bytes: number): Promise<void> {
  await client.query("create table if not exists filler (t text)");
  await client.query("insert into filler select repeat(md5(g::text), 31) from generate_series(1, $1::int) g", [
    Math.ceil(bytes / 1000),
  ]);
}

export async function currentLsn(client: Client): Promise<string> {
  const { rows } = await client.query<{ lsn: string }>("select pg_current_wal_insert_lsn()::text as lsn");
  return rows[0]!.lsn;
}
