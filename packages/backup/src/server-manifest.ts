import { createHash } from "node:crypto";
import { ManifestMismatchError } from "./errors.ts";

/** One file as the server says it sent it. */
export interface ServerManifestFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** CRC-32C in the manifest's hexadecimal; empty when the server made none. */
  readonly checksum: string;
}

/** What a server's backup manifest holds. */
export interface ServerManifest {
  readonly files: readonly ServerManifestFile[];
  /** Written by PostgreSQL 17 and newer. */
  readonly systemIdentifier: string | undefined;
  readonly walRanges: readonly { readonly timeline: number; readonly startLsn: string; readonly endLsn: string }[];
}

interface RawManifest {
  readonly Files: readonly {
    readonly Path?: string;
    readonly "Encoded-Path"?: string;
    readonly Size: number;
    readonly "Checksum-Algorithm"?: string;
    readonly Checksum?: string;
  }[];
  readonly "WAL-Ranges": readonly {
    readonly Timeline: number;
    readonly "Start-LSN": string;
    readonly "End-LSN": string;
  }[];
}

/**
 * Reads a backup manifest and checks its own checksum, the SHA-256 of everything before the last line.
 * @throws {ManifestMismatchError} when it is cut or changed
 * @see https://www.postgresql.org/docs/current/backup-manifest-format.html
 */
export function parseServerManifest(raw: Buffer): ServerManifest {
  const text = raw.toString("utf8");
  const lastLine = text.lastIndexOf('"Manifest-Checksum"');
  if (lastLine < 0) throw new ManifestMismatchError("the server's backup manifest has no checksum line");
  const expected = /"Manifest-Checksum":\s*"([0-9a-f]{64})"/.exec(text.slice(lastLine))?.[1];
  const head = raw.subarray(0, Buffer.byteLength(text.slice(0, lastLine)));
  if (createHash("sha256").update(head).digest("hex") !== expected) {
    throw new ManifestMismatchError("the server's backup manifest does not match its own checksum");
  }
  // A system identifier is above 2^53: JSON.parse would round it, so it is read from the text.
  const systemIdentifier = /"System-Identifier":\s*(\d+)/.exec(text)?.[1];
  const manifest = JSON.parse(text) as RawManifest;
  return {
    systemIdentifier,
    walRanges: manifest["WAL-Ranges"].map((range) => ({
      timeline: range.Timeline,
      startLsn: range["Start-LSN"],
      endLsn: range["End-LSN"],
    })),
    files: manifest.Files.map((file) => ({
      path: file.Path ?? Buffer.from(file["Encoded-Path"] ?? "", "hex").toString("utf8"),
      sizeBytes: file.Size,
      checksum: file["Checksum-Algorithm"] === "CRC32C" ? (file.Checksum ?? "") : "",
    })),
  };
}

/** A file as it arrived. */
export interface ReceivedFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly crc32c: string;
}

/**
 * Compares what arrived with what the server says it sent: no file missing, none too many, sizes and checksums equal.
 * @throws {ManifestMismatchError} with the first three differences
 */
export function compareWithServerManifest(received: readonly ReceivedFile[], manifest: ServerManifest): void {
  const expected = new Map(manifest.files.map((file) => [file.path, file]));
  const problems: string[] = [];
  for (const file of received) {
    const match = expected.get(file.path);
    // WAL is streamed and checked apart; the server lists none of it.
    if (!match && file.path.startsWith("pg_wal/")) continue;
    expected.delete(file.path);
    if (!match) problems.push(`${file.path} is not in the manifest`);
    else if (match.sizeBytes !== file.sizeBytes) {
      problems.push(`${file.path} has ${file.sizeBytes} bytes instead of ${match.sizeBytes}`);
    } else if (match.checksum !== "" && match.checksum !== file.crc32c) {
      problems.push(`${file.path} has another checksum`);
    }
  }
  for (const path of expected.keys()) problems.push(`${path} did not arrive`);
  if (problems.length > 0) {
    throw new ManifestMismatchError(
      `${problems.length} ${problems.length === 1 ? "file differs" : "files differ"} from the server's manifest: ` +
        problems.slice(0, 3).join("; "),
      { hint: "Take the backup again; if it repeats, look for a proxy or a disk that changes bytes." },
    );
  }
}
