/**
 * The little of PostgreSQL's wire protocol, version 3, that a scripted server speaks.
 * @see https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

/** Fields of an ErrorResponse or NoticeResponse. */
export interface ErrorFields {
  /** `ERROR`, `FATAL`, `PANIC`, `WARNING` … Default `ERROR`. */
  readonly severity?: string;
  /** SQLSTATE. */
  readonly code: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
}

/** A message of the client: its type letter and what follows the length. */
export interface FrontendMessage {
  readonly type: string;
  readonly body: Buffer;
}

/** One message: type letter, length, body. */
export function message(type: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(type, "latin1"), int32(body.length + 4), body]);
}

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** A zero-terminated string. */
export function text(value: string): Buffer {
  return Buffer.from(`${value}\0`, "utf8");
}

export const authenticationOk: Buffer = message("R", int32(0));
export const authenticationCleartext: Buffer = message("R", int32(3));
export const parseComplete: Buffer = message("1");
export const bindComplete: Buffer = message("2");
export const closeComplete: Buffer = message("3");
export const noData: Buffer = message("n");
export const emptyQuery: Buffer = message("I");

export function parameterStatus(name: string, value: string): Buffer {
  return message("S", text(name), text(value));
}

export function backendKeyData(pid: number, secret: number): Buffer {
  return message("K", int32(pid), int32(secret));
}

/** `I` idle, `T` in a transaction, `E` in a failed one. */
export function readyForQuery(status: "I" | "T" | "E" = "I"): Buffer {
  return message("Z", Buffer.from(status, "latin1"));
}

export function errorResponse(fields: ErrorFields): Buffer {
  return message("E", ...errorParts(fields));
}

export function noticeResponse(fields: ErrorFields): Buffer {
  return message("N", ...errorParts({ severity: "NOTICE", ...fields }));
}

function errorParts(fields: ErrorFields): Buffer[] {
  const severity = fields.severity ?? "ERROR";
  const letters = { S: severity, V: severity, C: fields.code, M: fields.message, D: fields.detail, H: fields.hint };
  const parts = Object.entries(letters).flatMap(([letter, value]) =>
    value === undefined ? [] : [Buffer.from(letter, "latin1"), text(value)],
  );
  return [...parts, Buffer.from([0])];
}

/** Columns of type text, by name. */
export function rowDescription(columns: readonly string[]): Buffer {
  const textOid = 25;
  const fields = columns.map((name) =>
    Buffer.concat([text(name), int32(0), int16(0), int32(textOid), int16(-1), int32(-1), int16(0)]),
  );
  return message("T", int16(columns.length), ...fields);
}

/** One row of values in text format; null is NULL. */
export function dataRow(values: readonly (string | null)[]): Buffer {
  const fields = values.map((value) => {
    if (value === null) return int32(-1);
    const bytes = Buffer.from(value, "utf8");
    return Buffer.concat([int32(bytes.length), bytes]);
  });
  return message("D", int16(values.length), ...fields);
}

export function commandComplete(tag: string): Buffer {
  return message("C", text(tag));
}
