import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "@db/config";
import { noLogger } from "@db/core";
import { createOrchestrator, type Orchestrator, runMainJob } from "@db/orchestrator";
import { type ServerOptions, sourceFromOrchestrator, startServer, type StatusServer } from "@db/server";
import { startCluster, type TestCluster } from "@db/testkit";

export const tokens = {
  metrics: "metrics-0123456789abcdef0123456789abcdef",
  read: "read-0123456789abcdef0123456789abcdef",
  operate: "operate-0123456789abcdef0123456789abcdef",
  admin: "admin-0123456789abcdef0123456789abcdef",
} as const;

/** Every token with its scope, as options take them. */
export const scopedTokens: readonly string[] = Object.entries(tokens).map(([scope, token]) => `${scope}:${token}`);

/** A platform that is used: a primary and a replica, data, migrations, traffic, and a table that somebody locks. */
export interface LoadedPlatform extends AsyncDisposable {
  /** Below it lies what is restored over HTTP. */
  readonly restoreDirectory: string;
  readonly cluster: TestCluster<1>;
  readonly orchestrator: Orchestrator;
  readonly server: StatusServer;
  /** Makes one session hold a table and others wait for it, until the function given back is called. */
  block(): Promise<() => Promise<void>>;
}

type Client = Awaited<ReturnType<TestCluster["connect"]>>;

const tables = ["accounts", "orders", "order_lines", "payments", "shipments", "audit_events"];

export async function startLoadedPlatform(options: Partial<ServerOptions> = {}): Promise<LoadedPlatform> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "platform-"));
  stack.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const cluster = await startCluster({
    replicas: 1,
    archive: true,
    settings: {
      shared_preload_libraries: "pg_stat_statements",
      track_io_timing: "on",
      "pg_stat_statements.track": "all",
      work_mem: "1MB",
    },
  });
  stack.defer(() => cluster.stop());
  const migrations = join(folder, "migrations");
  await mkdir(migrations);
  await writeFile(join(migrations, "20260101090000_shop.sql"), schemaSql);
  await writeFile(join(migrations, "20260201090000_add_note.sql"), "alter table orders add column note text;\n");
  const { config } = await loadConfig({
    env: { DATABASE_URL: cluster.primary.url, READ_REPLICA_URLS: cluster.replicas[0].url },
    readFiles: false,
    overrides: {
      "monitor.intervalMs": 1_000,
      "backup.repository": join(folder, "backups"),
      "backup.restoreDirectory": join(folder, "restored"),
      "migrate.directory": migrations,
    },
  });
  const orchestrator = createOrchestrator(config);
  stack.defer(() => orchestrator.close());
  const client = await cluster.connect();
  await client.query("create extension pg_stat_statements");
  await orchestrator.migrations.apply(await orchestrator.migrations.plan());
  await client.query(dataSql);
  await writeFile(join(migrations, "20260301090000_add_state.sql"), "alter table shipments add column carrier text;\n");
  await orchestrator.backups.run();
  await client.end();
  await orchestrator.start(["pool", "monitoring"]);
  const mainJob = await runMainJob(orchestrator, { readOnly: true });
  const stop = new AbortController();
  const traffic = Promise.all(Array.from({ length: 4 }, (_, worker) => work(orchestrator, worker, stop.signal)));
  stack.defer(async () => {
    stop.abort();
    await traffic;
  });
  const server = await startServer({
    source: sourceFromOrchestrator(orchestrator, { mainJob: () => mainJob, logger: noLogger }),
    updateIntervalMs: 500,
    requestsPerMinute: 1_000_000,
    ...options,
  });
  stack.defer(() => server.close());
  const kept = stack.move();
  return {
    cluster,
    orchestrator,
    server,
    restoreDirectory: join(folder, "restored"),
    block: () => block(cluster),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function block(cluster: TestCluster<1>): Promise<() => Promise<void>> {
  const clients: Client[] = await Promise.all(Array.from({ length: 4 }, () => cluster.connect()));
  const [holder, first, second, third] = clients as [Client, Client, Client, Client];
  for (const client of clients) client.on("error", () => undefined);
  await holder.query("set application_name = 'nightly-import'");
  await holder.query("begin; lock table payments in access exclusive mode");
  await first.query("set application_name = 'checkout'; begin; lock table shipments in exclusive mode");
  const waiting = [
    first.query("select count(*) from payments where amount > 100 and note = 'a secret'"),
    second.query("update payments set amount = amount + 1 where id = 7"),
    third.query("insert into shipments (order_id) values (1)"),
  ].map((each) => each.catch(() => undefined));
  const watcher = await cluster.connect();
  const sql = "select count(*)::int as waiting from pg_stat_activity where wait_event_type = 'Lock'";
  for (let attempt = 0; attempt < 2_000; attempt++) {
    const { rows } = await watcher.query<{ waiting: number }>(sql);
    if (rows[0]!.waiting >= 3) break;
  }
  await watcher.end();
  return async () => {
    await holder.query("rollback").catch(() => undefined);
    await first.query("rollback").catch(() => undefined);
    await Promise.all(waiting);
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  };
}

// Traffic of a shop, gentle enough for a machine that does other things too.
async function work({ pool }: Orchestrator, worker: number, signal: AbortSignal): Promise<void> {
  for (let turn = worker; !signal.aborted; turn += 1) {
    const id = (turn * 37) % 2_000;
    try {
      await pool.query(
        "select a.name, count(o.id) from accounts a join orders o on o.account_id = a.id where a.id = $1 group by a.id",
        [id],
      );
      await pool.query("update accounts set balance = balance + 1 where id = $1", [id]);
      if (turn % 3 === 0)
        await pool.query("insert into audit_events (kind, payload) values ($1, $2)", ["click", "x".repeat(200)]);
      if (turn % 10 === 0) await pool.query("select status, sum(total) from orders group by status order by 2 desc");
      if (turn % 25 === 0) await pool.query("select * from order_lines order by sku, amount desc limit 20");
    } catch {
      // A server that is away or a table that is locked is what the page is there to show.
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

const schemaSql = `
create table accounts (id int primary key, name text not null, balance numeric not null default 0);
create table orders (id int generated always as identity primary key, account_id int not null references accounts, status text, total numeric, placed_at timestamptz default now());
create table order_lines (order_id int, sku text, amount int, price numeric);
create index order_lines_sku on order_lines (sku);
create index order_lines_sku_again on order_lines (sku);
create table payments (id int primary key, order_id int, amount numeric, note text);
create table shipments (id int generated always as identity primary key, order_id int, sent_at timestamptz);
create table audit_events (id bigint generated always as identity primary key, kind text, payload text, at timestamptz default now());
`;

const dataSql = `
insert into accounts select i, 'account ' || i, i from generate_series(0, 1999) i;
insert into orders (account_id, status, total) select i % 2000, (array['open', 'paid', 'sent'])[1 + i % 3], i % 900 from generate_series(1, 40000) i;
insert into order_lines select 1 + i % 40000, 'sku-' || i % 500, 1 + i % 5, i % 90 from generate_series(1, 60000) i;
insert into payments select i, i, i % 900, 'paid' from generate_series(1, 20000) i;
delete from order_lines where order_id % 3 = 0;
analyze;
${tables.map((table) => `select count(*) from ${table};`).join("\n")}
`;
