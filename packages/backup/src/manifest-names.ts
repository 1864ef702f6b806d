import { UnsafePathError } from "./errors.ts";
import type { BackupManifest } from "./manifest.ts";
import { safeRelativePath } from "./safe-path.ts";

const hint = "Do not restore it: the record was made or changed by something else than a backup.";

/** True for the name of a whole WAL segment: 24 hexadecimal digits and nothing else. */
export function isSegmentName(name: string): boolean {
  return /^[0-9A-F]{24}$/.test(name);
}

/**
 * Checks every name in a commit record that becomes a path here or a key there, before any of it is used. A record
 * proves who wrote it, not that its writer meant well.
 * @throws {UnsafePathError}
 */
export function checkManifestNames(manifest: BackupManifest, key: string): void {
  const refuse = (what: string, name: unknown): never => {
    throw new UnsafePathError(`${key} names ${what} ${JSON.stringify(name)}`, { hint });
  };
  for (const { name } of [...manifest.packs, ...manifest.objects]) {
    if (typeof name !== "string" || safeRelativePath(name, key) !== name) refuse("an object", name);
  }
  for (const { segment } of manifest.wal) if (!isSegmentName(segment)) refuse("a WAL segment", segment);
  for (const { oid, location } of manifest.tablespaces) {
    if (!/^\d{1,10}$/.test(oid)) refuse("a tablespace", oid);
    const inPlace = location === `pg_tblspc/${oid}`;
    if (!inPlace && !isAbsoluteLocation(location)) refuse("a tablespace's directory", location);
  }
}

// As the server has it: of this system or of another.
function isAbsoluteLocation(location: string): boolean {
  const absolute = location.startsWith("/") || /^[A-Za-z]:[\\/]/.test(location);
  return absolute && !location.includes("\0") && !location.split(/[\\/]/).includes("..");
}
