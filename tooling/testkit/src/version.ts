import { type Binaries, requireBinaries } from "@db/embedded";

const found = new Map<number, Promise<Binaries>>();

/** The server programs of a major version, looked for once per process: npm's first, since they are the same everywhere. */
export function testBinaries(version: number): Promise<Binaries> {
  let binaries = found.get(version);
  if (binaries === undefined) {
    binaries = requireBinaries({ version, path: process.env["PATH"] ?? "" });
    found.set(version, binaries);
  }
  return binaries;
}
