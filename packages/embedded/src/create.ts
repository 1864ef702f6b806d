import { rm, stat } from "node:fs/promises";
import path from "node:path";
import { type Account, accountFor, serverAccount } from "./account.ts";
import type { CloneOptions, Cluster, CreateClusterOptions, OpenClusterOptions } from "./cluster.ts";
import {
  chownTree,
  dataMajorVersion,
  initializeData,
  isComplete,
  markComplete,
  prepareDirectory,
  writeServerFile,
} from "./data-directory.ts";
import { syncTree } from "./copy.ts";
import { DataVersionMismatchError, DirectoryError } from "./errors.ts";
import { LocalCluster } from "./local-cluster.ts";
import { canReach } from "./reach.ts";
import { checkStandbyName, copyRunningData, copyStoppedData } from "./standby.ts";

const defaultHba = `# type database user address method
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
host all all ::1/128 scram-sha-256
local replication all scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
host replication all ::1/128 scram-sha-256
`;

/**
 * Makes a cluster in `directory`, which must not hold a finished one; what a killed attempt left there is cleared.
 * The cluster is not started.
 * @throws {DirectoryError | ClusterError | AccountError}
 */
export async function createCluster(options: CreateClusterOptions): Promise<Cluster> {
  const parent = path.dirname(path.resolve(options.directory));
  const account = await accountFor(parent, await serverAccount(options.account));
  const cluster = new LocalCluster(options, account, makeClone);
  await clearUnfinished(cluster);
  await initializeData(cluster.dataDirectory, {
    binaries: options.binaries,
    account,
    username: cluster.username,
    password: options.password,
    durable: options.durable ?? true,
    arguments: options.initdbArguments ?? [],
    signal: options.signal,
  });
  await writeServerFile(path.join(cluster.dataDirectory, "pg_hba.conf"), defaultHba, account);
  await cluster.writeConfiguration();
  await markComplete(cluster.directory, cluster.binaries, options.durable ?? true);
  return cluster;
}

/**
 * Opens a cluster that is on disk: one made here, or any data directory of the binaries' version, such as a restored
 * backup. Its settings file is replaced by `settings`; data that root restored is given to the server's account.
 * It is not started, but may be running.
 * @throws {DirectoryError} when there is no data, {DataVersionMismatchError} when another version made it
 */
export async function openCluster(options: OpenClusterOptions): Promise<Cluster> {
  const dataDirectory = path.resolve(options.dataDirectory ?? path.join(options.directory, "data"));
  const major = await dataMajorVersion(dataDirectory);
  if (major === undefined) {
    throw new DirectoryError(`${dataDirectory} holds no PostgreSQL data that this process may read`, {
      hint: "Make a cluster there first, or look who owns it.",
    });
  }
  if (major !== options.binaries.major) {
    throw new DataVersionMismatchError(
      `${dataDirectory} was made by PostgreSQL ${major}, which ${options.binaries.version} cannot read`,
      { dataMajor: major, wantedMajor: options.binaries.major, hint: `Open it with PostgreSQL ${major}.` },
    );
  }
  const account = await reachableOwner(dataDirectory, await serverAccount(options.account));
  await prepareDirectory(options.directory, account);
  const cluster = new LocalCluster(options, account, makeClone);
  if (!(await cluster.isRunning())) await cluster.writeConfiguration();
  return cluster;
}

/** The rest of `Cluster.clone`: copies, makes a standby of the copy, marks it complete. */
async function makeClone(
  primary: Cluster,
  inherited: OpenClusterOptions,
  options: CloneOptions,
  running: boolean,
): Promise<Cluster> {
  const name = checkStandbyName(options.name);
  const standby = new LocalCluster(
    {
      ...inherited,
      directory: options.directory,
      ...(options.port === undefined ? {} : { port: options.port }),
      ...(options.preferredPort === undefined ? {} : { preferredPort: options.preferredPort }),
      settings: { ...inherited.settings, ...options.settings },
    },
    primary.account,
    makeClone,
  );
  await clearUnfinished(standby);
  if (running && options.session !== undefined) {
    await copyRunningData(primary, standby.dataDirectory, name, options.session);
  } else await copyStoppedData(primary, standby.dataDirectory, name, options.signal);
  await writeServerFile(path.join(standby.dataDirectory, "standby.signal"), "", primary.account);
  await standby.follow(primary, name);
  const { durable = true } = inherited;
  if (durable) await syncTree(standby.dataDirectory);
  await markComplete(standby.directory, standby.binaries, durable);
  return standby;
}

async function clearUnfinished(cluster: LocalCluster): Promise<void> {
  if (await isComplete(cluster.directory)) {
    throw new DirectoryError(`${cluster.directory} already holds a cluster`, {
      hint: "Open it, or remove it first.",
    });
  }
  await prepareDirectory(cluster.directory, cluster.account);
  await rm(cluster.dataDirectory, { recursive: true, force: true });
}

// Root restored it: the server's account cannot read root's files.
async function reachableOwner(dataDirectory: string, account: Account | undefined): Promise<Account | undefined> {
  const owner = await accountFor(dataDirectory, account);
  if (owner === undefined) return undefined;
  if ((await stat(dataDirectory)).uid === 0) await chownTree(dataDirectory, owner);
  if (!(await canReach(dataDirectory, owner, "write"))) {
    throw new DirectoryError(`the account ${owner.name}, which runs the server, cannot enter ${dataDirectory}`, {
      hint: "Choose a directory that every account may enter, not one below a home directory with mode 700.",
    });
  }
  return owner;
}
