import { ReplicationProtocolError, type ReplicationServerError } from "../errors.ts";
import { parseDataRow, parseNotice } from "./frame-reader.ts";
import { type ReplicationSession, serverError } from "./session.ts";

/** What `BASE_BACKUP` is asked for. */
export interface BaseBackupRequest {
  /** The major version decides the dialect. */
  readonly major: number;
  /** At most 32 bytes of plain ASCII. */
  readonly label: string;
  readonly checkpoint: "fast" | "spread";
  /** Most bytes per second the server sends; undefined for no limit. */
  readonly maxRateBytes?: number | undefined;
  /** Compression by the server, 15 and newer. */
  readonly compression?: ServerCompression | undefined;
  /** Longest silence once files come, milliseconds; undefined waits for ever. The checkpoint before may take its time. */
  readonly stallTimeoutMs?: number | undefined;
}

/** How the server compresses its archives before it sends them. */
export interface ServerCompression {
  readonly algorithm: "zstd" | "gzip";
  readonly level: number;
  /** Threads beside the one that reads; zstd alone knows them. 0: none. */
  readonly workers: number;
}

/**
 * Writes the command in the server's dialect: words for 12-14, a list of options for 15 and newer; 12 knows no
 * manifest. Waiting for the archiver is off, because the WAL is stored by us.
 * @see https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-BASE-BACKUP
 */
export function baseBackupCommand(request: BaseBackupRequest): string {
  const label = `'${request.label.replaceAll("'", "''")}'`;
  const rate = request.maxRateBytes === undefined ? undefined : Math.floor(request.maxRateBytes / 1024);
  if (request.major >= 15) {
    const options = [
      `LABEL ${label}`,
      "PROGRESS",
      `CHECKPOINT '${request.checkpoint}'`,
      "WAIT false",
      ...(rate === undefined ? [] : [`MAX_RATE ${rate}`]),
      "MANIFEST 'yes'",
      "MANIFEST_CHECKSUMS 'CRC32C'",
      ...(request.compression ? compressionOptions(request.compression) : []),
    ];
    return `BASE_BACKUP (${options.join(", ")})`;
  }
  const words = [
    `BASE_BACKUP LABEL ${label} PROGRESS`,
    ...(request.checkpoint === "fast" ? ["FAST"] : []),
    "NOWAIT",
    ...(rate === undefined ? [] : [`MAX_RATE ${rate}`]),
    ...(request.major >= 13 ? ["MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C'"] : []),
  ];
  return words.join(" ");
}

function compressionOptions({ algorithm, level, workers }: ServerCompression): string[] {
  const detail = workers > 0 ? `level=${level},workers=${workers}` : `level=${level}`;
  return [`COMPRESSION '${algorithm}'`, `COMPRESSION_DETAIL '${detail}'`];
}

/** A position the server names. */
export interface WalPosition {
  readonly lsn: string;
  readonly timeline: number;
}

/** A tablespace as the server lists it before it sends the archives. */
export interface ListedTablespace {
  /** Undefined for the data directory itself. */
  readonly oid: string | undefined;
  readonly location: string;
  /** The server's estimate. */
  readonly sizeBytes: number;
}

/** Receives a base backup in order. A returned promise holds the server back. */
export interface BaseBackupSink {
  begin(start: WalPosition, tablespaces: readonly ListedTablespace[]): Promise<void>;
  /** The archive of one tablespace begins; undefined for the data directory. */
  beginArchive(tablespaceOid: string | undefined): void;
  archiveData(chunk: Buffer): Promise<void> | undefined;
  endArchive(): Promise<void>;
  manifestData(chunk: Buffer): void;
}

/** How a base backup ended. */
export interface BaseBackupEnd {
  readonly stop: WalPosition;
  /** What the server said about broken page checksums; empty when all were good or the cluster has none. */
  readonly checksumErrors: readonly string[];
}

/**
 * Runs `BASE_BACKUP` and hands its archives and manifest to `sink`.
 *
 * The end position and the manifest come before a possible error: only the command's completion counts. A checksum
 * failure is such an error (XX001); the data is whole all the same, so it is reported and not thrown.
 * @throws {ReplicationServerError} @throws {ReplicationProtocolError}
 */
export async function runBaseBackup(
  session: ReplicationSession,
  request: BaseBackupRequest,
  sink: BaseBackupSink,
): Promise<BaseBackupEnd> {
  session.sendQuery(baseBackupCommand(request));
  const stream = request.major >= 15 ? new TaggedStream(sink, request.compression?.algorithm) : new PlainStreams(sink);
  const results: (string | null)[][][] = [];
  const checksumErrors: string[] = [];
  let failure: ReplicationServerError | undefined;
  let completed = false;
  let copying = false;
  for (;;) {
    const { type, body } = session.take() ?? (await session.next(copying ? request.stallTimeoutMs : undefined));
    if (type === "d") {
      const held = stream.data(body);
      if (held) await held;
    } else if (type === "H") {
      copying = true;
      stream.begin();
    } else if (type === "c") await stream.end();
    else if (type === "T") results.push([]);
    else if (type === "D") results.at(-1)?.push(parseDataRow(body));
    else if (type === "C") {
      if (results.length === 2 && stream.tablespaces.length === 0) {
        stream.tablespaces = parseTablespaces(results[1]!);
        await sink.begin(parsePosition(results[0]), stream.tablespaces);
      }
      completed = body.toString("latin1", 0, 11) === "BASE_BACKUP" || results.length === 3;
    } else if (type === "E") failure = serverError(body);
    else if (type === "N") noteChecksumError(body, checksumErrors);
    else if (type === "Z") break;
    else if (type !== "S" && type !== "A")
      throw new ReplicationProtocolError(`unexpected message "${type}" in a backup`);
  }
  if (failure && failure.sqlState === "XX001" && results.length === 3) {
    if (checksumErrors.length === 0) checksumErrors.push(failure.message);
  } else if (failure) throw failure;
  else if (!completed) throw new ReplicationProtocolError("the server ended the backup without completing it");
  return { stop: parsePosition(results[2]), checksumErrors };
}

/** 15 and newer: one copy, every message tagged with what it holds. */
class TaggedStream {
  readonly #sink: BaseBackupSink;
  readonly #suffix: string;
  tablespaces: readonly ListedTablespace[] = [];
  #part: "none" | "archive" | "manifest" = "none";

  constructor(sink: BaseBackupSink, compression: ServerCompression["algorithm"] | undefined) {
    this.#sink = sink;
    this.#suffix = compression === undefined ? "" : { zstd: ".zst", gzip: ".gz" }[compression];
  }

  begin(): void {
    this.#part = "none";
  }

  data(body: Buffer): Promise<void> | undefined {
    const tag = body[0];
    if (tag === 0x64) {
      const chunk = body.subarray(1);
      if (this.#part === "archive") return this.#sink.archiveData(chunk);
      if (this.#part !== "manifest") throw new ReplicationProtocolError("the server sent data outside an archive");
      this.#sink.manifestData(chunk);
      return undefined;
    }
    // How far the server is: the bytes that arrived say it better.
    if (tag === 0x70) return undefined;
    return this.#beginPart(Buffer.from(body));
  }

  end(): Promise<void> {
    return this.#closeArchive();
  }

  async #beginPart(body: Buffer): Promise<void> {
    await this.#closeArchive();
    const tag = String.fromCharCode(body[0] ?? 0);
    if (tag === "m") this.#part = "manifest";
    else if (tag === "n") {
      const name = body.toString("utf8", 1, body.indexOf(0, 1));
      const oid = /^(\d+)\.tar/.exec(name)?.[1];
      if (name !== `${oid ?? "base"}.tar${this.#suffix}`) {
        throw new ReplicationProtocolError(`unexpected archive "${name}"`);
      }
      this.#sink.beginArchive(oid);
      this.#part = "archive";
    } else throw new ReplicationProtocolError(`unknown part "${tag}" in a backup`);
  }

  async #closeArchive(): Promise<void> {
    if (this.#part === "archive") await this.#sink.endArchive();
    this.#part = "none";
  }
}

/** 12 to 14: one copy per tablespace in the order of the list, then one for the manifest. */
class PlainStreams {
  readonly #sink: BaseBackupSink;
  tablespaces: readonly ListedTablespace[] = [];
  #index = -1;

  constructor(sink: BaseBackupSink) {
    this.#sink = sink;
  }

  begin(): void {
    this.#index++;
    const tablespace = this.tablespaces[this.#index];
    if (tablespace) this.#sink.beginArchive(tablespace.oid);
    else if (this.#index > this.tablespaces.length) throw new ReplicationProtocolError("one archive too many");
  }

  data(body: Buffer): Promise<void> | undefined {
    if (this.#index < this.tablespaces.length) return this.#sink.archiveData(body);
    this.#sink.manifestData(body);
    return undefined;
  }

  async end(): Promise<void> {
    if (this.#index < this.tablespaces.length) await this.#sink.endArchive();
  }
}

function parsePosition(result: readonly (readonly (string | null)[])[] | undefined): WalPosition {
  const [lsn, timeline] = result?.[0] ?? [];
  if (!lsn || !timeline) throw new ReplicationProtocolError("the server named no WAL position for the backup");
  return { lsn, timeline: Number(timeline) };
}

function parseTablespaces(rows: readonly (readonly (string | null)[])[]): ListedTablespace[] {
  return rows.map(([oid, location, sizeKib]) => ({
    oid: oid ?? undefined,
    location: location ?? "",
    sizeBytes: Number(sizeKib ?? 0) * 1024,
  }));
}

function noteChecksumError(body: Buffer, errors: string[]): void {
  const { message } = parseNotice(body);
  // The server repeats itself at most five times a file; a hundred lines are enough to act on.
  if (/checksum (verification )?(failure|failed)/.test(message) && errors.length < 100) errors.push(message);
}
