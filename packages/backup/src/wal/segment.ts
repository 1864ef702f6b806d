import { formatLsn } from "@db/core";
import { WalRejectedError } from "../errors.ts";

/** What a name in a WAL archive stands for. */
export type WalFileKind = "segment" | "partial" | "history" | "label";

/** A WAL file's name taken apart. */
export interface WalFileName {
  readonly kind: WalFileKind;
  readonly timeline: number;
  /** The 24 digits of a segment; empty for a history file. */
  readonly segment: string;
  /** Bytes of a partial segment that count; undefined for anything else, and for PostgreSQL's own `.partial`. */
  readonly partialBytes?: number;
}

const namePattern = /^([0-9A-F]{24})(?:\.partial(?:-([0-9A-F]{8}))?|(\.[0-9A-F]{8}\.backup))?$/;

/** Takes a WAL file's name apart; undefined when it is none. */
export function parseWalName(name: string): WalFileName | undefined {
  const history = /^([0-9A-F]{8})\.history$/.exec(name);
  if (history) return { kind: "history", timeline: Number.parseInt(history[1]!, 16), segment: "" };
  const match = namePattern.exec(name);
  if (!match) return undefined;
  const segment = match[1]!;
  const timeline = Number.parseInt(segment.slice(0, 8), 16);
  if (match[3] !== undefined) return { kind: "label", timeline, segment };
  if (match[2] !== undefined) {
    return { kind: "partial", timeline, segment, partialBytes: Number.parseInt(match[2], 16) };
  }
  return { kind: name.length > 24 ? "partial" : "segment", timeline, segment };
}

/** The first position of a segment. */
export function segmentStart(segment: string, segmentBytes: number): bigint {
  const perId = 0x1_0000_0000n / BigInt(segmentBytes);
  const high = BigInt(`0x${segment.slice(8, 16)}`);
  return (high * perId + BigInt(`0x${segment.slice(16)}`)) * BigInt(segmentBytes);
}

/** The name of a tail: the segment as far as it had come. */
export function partialName(segment: string, bytes: number): string {
  return `${segment}.partial-${bytes.toString(16).toUpperCase().padStart(8, "0")}`;
}

/** What the first page of a WAL segment says of it. */
export interface SegmentHeader {
  readonly timeline: number;
  readonly startLsn: bigint;
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
}

const longHeaderBytes = 40;
const longHeaderFlag = 0x0002;

/**
 * Reads the long page header a segment begins with (little-endian servers).
 * @returns undefined when the bytes do not begin a WAL segment
 * @see https://github.com/postgres/postgres/blob/master/src/include/access/xlog_internal.h
 */
export function parseSegmentHeader(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.length < longHeaderBytes) return undefined;
  // D101 is 12, D118 is 18; later versions go on counting.
  if (bytes[1] !== 0xd1 || (bytes.readUInt16LE(2) & longHeaderFlag) === 0) return undefined;
  return {
    timeline: bytes.readUInt32LE(4),
    startLsn: bytes.readBigUInt64LE(8),
    systemIdentifier: bytes.readBigUInt64LE(24).toString(),
    segmentBytes: bytes.readUInt32LE(32),
  };
}

/**
 * Makes sure a segment's content belongs to its name and cluster.
 * @throws {WalRejectedError} naming what differs
 */
export function checkSegmentHeader(
  name: WalFileName,
  header: SegmentHeader | undefined,
  expected: { readonly systemIdentifier?: string | undefined; readonly segmentBytes?: number | undefined },
): SegmentHeader {
  const refuse = (what: string): never => {
    throw new WalRejectedError(`WAL segment ${name.segment} ${what}`, {
      hint: "It stays on the server. See that archive_command points at the repository of this very cluster.",
    });
  };
  if (!header) return refuse("does not begin with a WAL page");
  const { systemIdentifier, segmentBytes } = expected;
  if (systemIdentifier !== undefined && header.systemIdentifier !== systemIdentifier) {
    return refuse(`is of cluster ${header.systemIdentifier}, not of ${systemIdentifier}`);
  }
  if (segmentBytes !== undefined && header.segmentBytes !== segmentBytes) {
    return refuse(`is of a cluster with segments of ${header.segmentBytes} bytes, not ${segmentBytes}`);
  }
  // A new timeline's first segment begins with pages copied from the old one, so its header may be of an ancestor.
  if (header.timeline > name.timeline) return refuse(`holds WAL of timeline ${header.timeline}`);
  const start = segmentStart(name.segment, header.segmentBytes);
  if (header.startLsn !== start) return refuse(`holds WAL from ${formatLsn(header.startLsn)}`);
  return header;
}
