import type { Repository } from "../repository/repository.ts";
import { WalArchive } from "./archive.ts";
import { listWal } from "./listing.ts";

/**
 * Removes objects of a WAL archive that no record names: what a killed write or removal left.
 * @param before milliseconds since the epoch; younger ones may be under way
 * @returns bytes freed
 */
export async function sweepWal(repository: Repository, systemIdentifier: string, before: number): Promise<number> {
  const { objects } = await listWal(repository, systemIdentifier);
  const archive = new WalArchive(repository, systemIdentifier);
  let freed = 0;
  for (const [key, { sizeBytes, modifiedAt }] of objects) {
    const name = /\/([^/]+)-[0-9a-f]{12}\.sealed$/.exec(key)?.[1];
    if (name === undefined || modifiedAt > before) continue;
    const record = await archive.find(name);
    if (record && archive.objectKey(record) === key) continue;
    await repository.storage.remove(key);
    freed += sizeBytes;
  }
  return freed;
}
