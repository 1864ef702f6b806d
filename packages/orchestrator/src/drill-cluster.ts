import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DrillCluster } from "@db/backup";
import type { Config } from "@db/config";
import { type Account, defaultCacheDirectory, openCluster, requireBinaries, serverAccount } from "@db/embedded";
import { connectionOf } from "./pool-options.ts";

/** Who a restored data directory must belong to, so that a server may run on it. */
export async function drillOwner(): Promise<Account | undefined> {
  return serverAccount();
}

/**
 * Starts a server on a restored data directory, on loopback and for the configured role only: its password came along
 * with the data, so nobody else gets in.
 */
export async function startDrillCluster(
  config: Config,
  env: Readonly<Record<string, string | undefined>>,
  dataDirectory: string,
  major: number,
): Promise<DrillCluster> {
  const url = new URL(connectionOf(config).primaryUrl.reveal());
  const cacheDirectory = defaultCacheDirectory(env);
  const binaries = await requireBinaries({
    version: major,
    ...(env["PATH"] === undefined ? {} : { path: env["PATH"] }),
    ...(cacheDirectory === undefined ? {} : { cacheDirectory }),
  });
  const directory = await mkdtemp(join(tmpdir(), "db-drill-"));
  const password = decodeURIComponent(url.password);
  const method = password === "" ? "trust" : "scram-sha-256";
  const cluster = await openCluster({
    directory,
    dataDirectory,
    binaries,
    username: decodeURIComponent(url.username),
    password,
    hba: `local all all ${method}\nhost all all 127.0.0.1/32 ${method}\n`,
  });
  try {
    await cluster.start();
  } catch (error) {
    await cluster.stop("immediate").catch(() => undefined);
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
  const restored = new URL(cluster.url);
  restored.pathname = url.pathname;
  return {
    url: restored.href,
    stop: async () => {
      await cluster.stop("immediate");
      await rm(directory, { recursive: true, force: true });
    },
  };
}
