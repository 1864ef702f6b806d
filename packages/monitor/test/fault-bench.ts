import { startCluster, type TestCluster } from "@db/testkit";
import { type Client, Pool } from "pg";
import { expectFault, type Fault } from "./fault.ts";

/** A primary and its standby on which faults are caused, watched over connections of the monitor's own. */
export interface FaultBench extends AsyncDisposable {
  readonly cluster: TestCluster<1>;
  readonly own: Pool;
  readonly replicaPool: Pool;
  /** Causes faults; a second one where two are needed. */
  client: Client;
  other: Client;
  /** Causes a fault on the primary: its alert must fire, and clear once it is mended. */
  fires(fault: Fault): Promise<void>;
  /** Both clients anew, after a restart. */
  reconnect(): Promise<void>;
}

/** Makes what is counted in a session visible to others. */
export const flush = "select pg_stat_force_next_flush()";
export const walBytes = (megabytes: number): string =>
  `select sum(length(pg_logical_emit_message(false, 'fill', repeat('x', 1000000))::text)) from generate_series(1, ${megabytes})`;
/** Uses up transaction ids, each in a subtransaction of its own. */
export const spendXids = (count: number): string => `
  do $$ begin
    for n in 1..${count} loop
      begin insert into spent values (n); exception when division_by_zero then null; end;
    end loop;
  end $$`;

export async function startFaultBench(): Promise<FaultBench> {
  const cluster = await startCluster({
    replicas: 1,
    archive: true,
    settings: {
      shared_preload_libraries: "pg_stat_statements",
      "pg_stat_statements.max": 100,
      wal_level: "logical",
      max_prepared_transactions: 5,
      max_slot_wal_keep_size: "64MB",
      deadlock_timeout: "10ms",
      autovacuum: "off",
      autovacuum_freeze_max_age: 100_000,
      track_functions: "none",
    },
  });
  const connect = (connectionString: string): Pool => {
    const pool = new Pool({ connectionString, max: 1, application_name: "db-monitor" });
    return pool.on("error", () => undefined);
  };
  const own = connect(cluster.primary.url);
  const replicaPool = connect(cluster.replicas[0].url);
  const bench: FaultBench = {
    cluster,
    own,
    replicaPool,
    client: await cluster.connect(),
    other: await cluster.connect(),
    async fires(fault) {
      await expectFault({ db: own }, fault);
    },
    async reconnect() {
      await Promise.allSettled([bench.client.end(), bench.other.end()]);
      bench.client = await cluster.connect();
      bench.other = await cluster.connect();
    },
    async [Symbol.asyncDispose]() {
      await Promise.allSettled([bench.client.end(), bench.other.end(), own.end(), replicaPool.end()]);
      await cluster.stop();
    },
  };
  await bench.client.query("create extension pg_stat_statements");
  await bench.client.query("create unlogged table spent (id int)");
  await bench.client.query("create table kept (id int primary key, v text)");
  await bench.client.query("insert into kept select g, 'x' from generate_series(1, 1000) g");
  return bench;
}
