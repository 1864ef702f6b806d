import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { quoteIdentifier } from "@db/core";
import { type Account, type Cluster, copyTree, openCluster, serverAccount, type Settings } from "@db/embedded";
import { type Client, Pool, type PoolConfig } from "pg";
import { runDirectory } from "./run-directory.ts";
import { LocalTestServer, type TestServer } from "./server.ts";
import { preparedData, testPassword } from "./template.ts";
import { testBinaries } from "./version.ts";

/** What a test cluster is started with. */
export interface StartClusterOptions<Replicas extends number = number> {
  /** Major version, 12 to 18. Default 18, which is always there; others are fetched once per machine. */
  readonly version?: number;
  /** How many streaming replicas. Default 0. */
  readonly replicas?: Replicas;
  /** True archives WAL by copying into `archiveDirectory`. Default false. */
  readonly archive?: boolean;
  /** Server settings of every server; `replicaSettings` come after on replicas. fsync is off by default. */
  readonly settings?: Settings;
  readonly replicaSettings?: Settings;
  /** The whole text of pg_hba.conf. */
  readonly hba?: string;
  /** Names of tablespaces to make. Not together with replicas: on one machine they would share its directory. */
  readonly tablespaces?: readonly string[];
  /** More arguments for initdb, `--wal-segsize=1`. */
  readonly initdbArguments?: readonly string[];
}

/** As many servers as were asked for, so that `replicas[0]` needs no check where the number is known. */
export type Servers<Count extends number> = number extends Count
  ? readonly TestServer[]
  : Count extends 0
    ? readonly []
    : Count extends 1
      ? readonly [TestServer]
      : Count extends 2
        ? readonly [TestServer, TestServer]
        : Count extends 3
          ? readonly [TestServer, TestServer, TestServer]
          : readonly TestServer[];

/** A database of its own for one test. */
export interface TestDatabase {
  readonly name: string;
  readonly url: string;
}

/** A primary and its replicas for tests: real servers, gone when the test process ends. */
export interface TestCluster<Replicas extends number = number> extends AsyncDisposable {
  readonly version: number;
  readonly primary: TestServer;
  readonly replicas: Servers<Replicas>;
  /** Where `archive: true` puts WAL segments; empty text without it. */
  readonly archiveDirectory: string;
  /** The directory of one tablespace that was asked for. */
  tablespaceDirectory(name: string): string;
  /** Makes a database, as a copy of `template` when given. Its name is unique. */
  createDatabase(options?: { readonly template?: string }): Promise<TestDatabase>;
  /** A connected client of the primary; the caller ends it. */
  connect(database?: string): Promise<Client>;
  /** A plain pg pool on the primary; the caller ends it. */
  createPool(options?: PoolConfig): Pool;
  /** Ends every server and deletes all data. */
  stop(): Promise<void>;
}

/**
 * Starts a cluster for tests, within a second once its version was used on this machine. One per test file is enough:
 * give each test a database of its own.
 */
export async function startCluster<const Replicas extends number = 0>(
  options: StartClusterOptions<Replicas> = {},
): Promise<TestCluster<Replicas>> {
  const { version = 18, archive = false, tablespaces = [], initdbArguments = [] } = options;
  const count: number = options.replicas ?? 0;
  if (count > 0 && tablespaces.length > 0) throw new Error("a test cluster has replicas or tablespaces, not both");
  const [binaries, account] = await Promise.all([testBinaries(version), serverAccount()]);
  const names = Array.from({ length: count }, (_, index) => `replica_${index + 1}`);
  const template = await preparedData(binaries, account, { slots: names, initdbArguments });
  const run = await runDirectory(account);
  const directory = await mkdtemp(path.join(run.path, "cluster-"));
  await chmod(directory, 0o755);
  const archiveDirectory = archive ? await serverDirectory(path.join(directory, "archive"), account) : "";
  const settings: Settings = {
    fsync: false,
    ...(archive ? { archive_mode: "on", archive_command: archiveCommand(archiveDirectory) } : {}),
    ...options.settings,
  };
  const home = path.join(directory, "primary");
  await mkdir(home, { mode: 0o755 });
  await copyTree(template, path.join(home, "data"));
  const primary = await openCluster({
    directory: home,
    binaries,
    password: testPassword,
    settings,
    guard: run.guard,
    durable: false,
    ...(options.hba === undefined ? {} : { hba: options.hba }),
  });
  const extra = options.replicaSettings === undefined ? {} : { settings: options.replicaSettings };
  const standbys = await Promise.all(
    names.map((name) => primary.clone({ directory: path.join(directory, name), name, ...extra })),
  );
  const cluster = new LocalTestCluster(directory, primary, standbys, archiveDirectory);
  try {
    await primary.start();
    await Promise.all(
      standbys.map(async (standby, index) => {
        await standby.follow(primary, names[index] as string);
        await standby.start();
      }),
    );
    for (const name of tablespaces) await cluster.createTablespace(name, account);
    if (standbys.length > 0) await cluster.waitForStreaming();
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return cluster as unknown as TestCluster<Replicas>;
}

class LocalTestCluster implements TestCluster {
  readonly version: number;
  readonly primary: LocalTestServer;
  readonly replicas: readonly LocalTestServer[];
  readonly archiveDirectory: string;
  readonly #directory: string;
  #databases = 0;

  constructor(directory: string, primary: Cluster, standbys: readonly Cluster[], archiveDirectory: string) {
    this.#directory = directory;
    this.version = primary.major;
    this.primary = new LocalTestServer("primary", primary);
    this.replicas = standbys.map((standby, index) => new LocalTestServer(`replica_${index + 1}`, standby));
    this.archiveDirectory = archiveDirectory;
  }

  tablespaceDirectory(name: string): string {
    return path.join(this.#directory, `tablespace-${name}`);
  }

  async createDatabase(options: { readonly template?: string } = {}): Promise<TestDatabase> {
    this.#databases += 1;
    const name = `test_${this.#databases}`;
    const template = options.template === undefined ? "" : ` template ${quoteIdentifier(options.template)}`;
    await this.#run(`create database ${quoteIdentifier(name)}${template}`);
    const url = new URL(this.primary.url);
    url.pathname = `/${name}`;
    return { name, url: url.href };
  }

  async createTablespace(name: string, account: Account | undefined): Promise<void> {
    const directory = await serverDirectory(this.tablespaceDirectory(name), account);
    await this.#run(`create tablespace ${quoteIdentifier(name)} location '${directory}'`);
  }

  connect(database?: string): Promise<Client> {
    return this.primary.connect(database);
  }

  createPool(options: PoolConfig = {}): Pool {
    const pool = new Pool({ connectionString: this.primary.url, ...options });
    pool.on("error", () => undefined);
    return pool;
  }

  async waitForStreaming(): Promise<void> {
    const deadline = Date.now() + 30_000;
    const client = await this.connect();
    try {
      for (;;) {
        const { rows } = await client.query<{ count: number }>(
          "select count(*)::int as count from pg_catalog.pg_stat_replication where state = 'streaming'",
        );
        if (rows[0]?.count === this.replicas.length) return;
        if (Date.now() > deadline) throw new Error(`only ${rows[0]?.count} of ${this.replicas.length} replicas stream`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    } finally {
      await client.end();
    }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.replicas, this.primary].map((server) => server.cluster.remove()));
    await rm(this.#directory, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #run(statement: string): Promise<void> {
    const client = await this.connect();
    try {
      await client.query(statement);
    } finally {
      await client.end();
    }
  }
}

async function serverDirectory(directory: string, account: Account | undefined): Promise<string> {
  await mkdir(directory, { mode: 0o755 });
  await writeFile(path.join(directory, ".keep"), "");
  await rm(path.join(directory, ".keep"));
  if (account !== undefined) await chown(directory, account.uid, account.gid);
  return directory;
}

function archiveCommand(directory: string): string {
  // %p and %f hold no characters a shell cares for; the directory is quoted. The rename makes it whole or absent.
  return `test ! -f "${directory}/%f" && cp "%p" "${directory}/.%f" && mv "${directory}/.%f" "${directory}/%f"`;
}
