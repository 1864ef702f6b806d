/** Where everything lies in a repository. The documents in README.txt and rescue.mjs follow this file. */
export const identityKey = "repository.json";
export const readmeKey = "README.txt";
export const rescueKey = "rescue.mjs";

export function dataKeyKey(systemIdentifier: string, dataKeyId: string): string {
  return `${systemIdentifier}/keys/${dataKeyId}.json`;
}

export function backupPrefix(systemIdentifier: string, label: string): string {
  return `${systemIdentifier}/backups/${label}/`;
}

/** The commit record: a backup without it is none. */
export const manifestName = "manifest.json";
/** When it was last read back whole, and how deep. */
export const verificationName = "verified.json";
export const filesName = "files.sealed";
export const serverManifestName = "server-manifest.sealed";
export const configurationName = "configuration.sealed";

export function packName(index: number): string {
  return `data/${String(index).padStart(6, "0")}.sealed`;
}

export function walName(segment: string): string {
  return `wal/${segment}.sealed`;
}

/** Takes a key apart when it lies in a backup's folder. */
export function parseBackupKey(
  key: string,
): { readonly systemIdentifier: string; readonly label: string; readonly name: string } | undefined {
  const match = /^(\d+)\/backups\/([^/]+)\/(.+)$/.exec(key);
  return match ? { systemIdentifier: match[1]!, label: match[2]!, name: match[3]! } : undefined;
}
