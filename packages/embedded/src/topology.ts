import path from "node:path";
import { accountFor, serverAccount } from "./account.ts";
import { startGuard } from "./guard.ts";
import type { LocalTopology, LocalTopologyOptions } from "./local-topology.ts";
import { TopologyOpening } from "./topology-opening.ts";
import { openTopologyDirectory } from "./topology-directory.ts";

/**
 * Opens the local topology in a directory, making it when there is none: a primary and its replicas, running. What a
 * killed run left is mended: servers still running are stopped, a half-made cluster is made again, the primary
 * recovers, and a replica that cannot follow is copied anew. Only one process at a time may have it open.
 * @throws {DirectoryInUseError | DirectoryError | DataVersionMismatchError | BinariesNotFoundError | ClusterError}
 */
export async function openLocalTopology(options: LocalTopologyOptions): Promise<LocalTopology> {
  const directory = path.resolve(options.directory);
  const account = await accountFor(directory, await serverAccount(options.account));
  const place = await openTopologyDirectory(directory, account);
  const guard = startGuard({ mode: "fast" });
  const opening = new TopologyOpening(options, place, guard);
  try {
    return await opening.run();
  } catch (error) {
    await opening.abandon();
    throw error;
  }
}
