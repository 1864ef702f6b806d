/** Where everything lies in a repository. The documents in README.txt and rescue.mjs follow this file. */
export const identityKey = "repository.json";
export const readmeKey = "README.txt";
export const rescueKey = "rescue.mjs";
/** What an expiry writes down before it removes anything. */
export const journalPrefix = "journal/";

export function dataKeyKey(systemIdentifier: string, dataKeyId: string): string {
  return `${systemIdentifier}/keys/${dataKeyId}.json`;
}

/** A data key wrapped for the key that is to come, until the rotation ends. */
export function nextDataKeyKey(systemIdentifier: string, dataKeyId: string, keyId: string): string {
  return `${systemIdentifier}/keys/${dataKeyId}.${keyId}.json`;
}

/** Takes the key of a wrapped data key apart; `keyId` only while a rotation is under way. */
export function parseDataKeyKey(
  key: string,
): { readonly systemIdentifier: string; readonly dataKeyId: string; readonly keyId: string | undefined } | undefined {
  const match = /^(\d+)\/keys\/([0-9a-f]{16})(?:\.([0-9a-f]{16}))?\.json$/.exec(key);
  return match ? { systemIdentifier: match[1]!, dataKeyId: match[2]!, keyId: match[3] } : undefined;
}

export function backupPrefix(systemIdentifier: string, label: string): string {
  return `${systemIdentifier}/backups/${label}/`;
}

/** Where a logical dump lies. */
export function dumpPrefix(systemIdentifier: string, label: string): string {
  return `${systemIdentifier}/dumps/${label}/`;
}

/** Takes a key apart when it lies in a dump's folder. */
export function parseDumpKey(
  key: string,
): { readonly systemIdentifier: string; readonly label: string; readonly name: string } | undefined {
  const match = /^(\d+)\/dumps\/([^/]+)\/(.+)$/.exec(key);
  return match ? { systemIdentifier: match[1]!, label: match[2]!, name: match[3]! } : undefined;
}

/** The commit record: a backup without it is none. */
export const manifestName = "manifest.json";
/** When it was last read back whole, and how deep. */
export const verificationName = "verified.json";
/** A wish that it stays, whatever the retention says. */
export const markName = "mark.json";
export const filesName = "files.sealed";
export const serverManifestName = "server-manifest.sealed";
export const configurationName = "configuration.sealed";

export function packName(index: number): string {
  return `data/${String(index).padStart(6, "0")}.sealed`;
}

export function walName(segment: string): string {
  return `wal/${segment}.sealed`;
}

/** Where a cluster's WAL archive lies. */
export function walPrefix(systemIdentifier: string): string {
  return `${systemIdentifier}/wal/`;
}

/** The folder of one WAL file: by timeline and upper half of the position, so that none grows without bound. */
export function walFolder(systemIdentifier: string, name: string): string {
  const folder = name.endsWith(".history") ? "history" : `${name.slice(0, 8)}/${name.slice(8, 16)}`;
  return `${walPrefix(systemIdentifier)}${folder}/`;
}

/** The record that says a WAL file is stored; without it its object does not count. */
export function walRecordKey(systemIdentifier: string, name: string): string {
  return `${walFolder(systemIdentifier, name)}${name}.json`;
}

/** Takes the key of a WAL record apart. */
export function parseWalRecordKey(
  key: string,
): { readonly systemIdentifier: string; readonly name: string } | undefined {
  const match = /^(\d+)\/wal\/(?:history|[0-9A-F]{8}\/[0-9A-F]{8})\/([0-9A-F][0-9A-Za-z.-]*)\.json$/.exec(key);
  return match ? { systemIdentifier: match[1]!, name: match[2]! } : undefined;
}

/** What a receiver last knew: how far it came and when. */
export function walPositionKey(systemIdentifier: string): string {
  return `${walPrefix(systemIdentifier)}position.json`;
}

export function walGapsPrefix(systemIdentifier: string): string {
  return `${walPrefix(systemIdentifier)}gaps/`;
}

/** Which data key WAL is encrypted with; a higher epoch is the later one. */
export function walEpochsPrefix(systemIdentifier: string): string {
  return `${walPrefix(systemIdentifier)}epochs/`;
}

/** Takes a key apart when it lies in a backup's folder. */
export function parseBackupKey(
  key: string,
): { readonly systemIdentifier: string; readonly label: string; readonly name: string } | undefined {
  const match = /^(\d+)\/backups\/([^/]+)\/(.+)$/.exec(key);
  return match ? { systemIdentifier: match[1]!, label: match[2]!, name: match[3]! } : undefined;
}
