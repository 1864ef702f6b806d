import { DbError } from "@db/core";

/** The address would let strangers in: it is public and there is no token. */
export class PublicAddressError extends DbError {
  override readonly code = "SERVER_PUBLIC_WITHOUT_TOKEN";

  constructor(host: string) {
    super(`refusing to listen on ${host} without a token`, {
      hint: "Set DB_SERVER_TOKENS to a token of at least 32 characters, or listen on 127.0.0.1.",
    });
  }
}

/** A token that could be guessed. */
export class WeakTokenError extends DbError {
  override readonly code = "SERVER_WEAK_TOKEN";

  constructor(length: number) {
    super(`a token has ${length} characters, fewer than 32`, { hint: "Make one with: openssl rand -hex 32" });
  }
}

/** The port is taken, forbidden, or none is free. */
export class ListenError extends DbError {
  override readonly code = "SERVER_CANNOT_LISTEN";
}

/** An action cannot be planned or done as things are. Its message is shown to the caller: it holds no secret. */
export class ActionRefusedError extends DbError {
  override readonly code = "SERVER_ACTION_REFUSED";
  /** 404 when what it is about is not there, 409 when it is another by now, 422 when it makes no sense. */
  readonly status: 404 | 409 | 422;

  constructor(status: 404 | 409 | 422, message: string, hint?: string) {
    super(message, hint === undefined ? {} : { hint });
    this.status = status;
  }
}
