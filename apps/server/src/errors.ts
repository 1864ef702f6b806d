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
