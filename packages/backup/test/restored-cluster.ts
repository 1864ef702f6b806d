import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { DrillOptions } from "@db/backup";
import {
  type Account,
  findBinaries,
  installBinaries,
  openCluster,
  serverAccount,
  sharedDirectory,
  throwawaySettings,
} from "@db/embedded";

/** A directory gone at the end of the test. */
export async function scratchDirectory(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "backup-test-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Starts servers on restored data directories, on a port of their own, with the test clusters' password. */
export const startRestored: DrillOptions["startCluster"] = async (dataDirectory, { major }) => {
  const account = await serverAccount();
  const packaged = (await findBinaries()).find((b) => b.source === "npm" && b.major === major && !b.problem);
  const cacheDirectory = await sharedDirectory("programs", account);
  const binaries = packaged ?? (await installBinaries({ version: major, cacheDirectory }));
  const cluster = await openCluster({
    directory: join(dirname(dataDirectory), "server"),
    dataDirectory,
    binaries,
    password: "postgres",
    settings: throwawaySettings,
  });
  await cluster.start();
  return { url: cluster.url, stop: () => cluster.stop("immediate") };
};

/** Who owns restored files: the server's account, when the tests run as root. */
export function restoredOwner(): Promise<Account | undefined> {
  return serverAccount();
}
