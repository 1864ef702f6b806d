import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes, scryptSync } from "node:crypto";
import { CorruptObjectError, InvalidKeyError } from "../errors.ts";

/** How the key that wraps the others came about. */
export type KeyDerivation = "raw" | "scrypt";

/** A data key wrapped by the repository's key, as `keys/` stores it. */
export interface WrappedKey {
  readonly format: "db-backup-key/1";
  readonly dataKeyId: string;
  readonly keyId: string;
  /** Hexadecimal: 12 bytes nonce, 32 bytes sealed key, 16 bytes tag. */
  readonly wrapped: string;
}

/** The repository's key. The bytes stay inside: nothing that prints or serialises this shows them. */
export interface RepositoryKey {
  /** Says which key it is without telling it. */
  readonly id: string;
  readonly derivation: KeyDerivation;
  /** @param dataKeyId of a key that is wrapped anew; a fresh one by default */
  wrap(dataKey: Uint8Array, dataKeyId?: string): WrappedKey;
  /** @throws {CorruptObjectError} */
  unwrap(wrapped: WrappedKey, objectKey: string): Buffer;
}

/**
 * Makes the key that wraps the data keys. 32 bytes in hexadecimal or base64 are taken as they are; anything else is a
 * passphrase of at least 12 characters: scrypt (N = 2^15, r = 8) with the repository's identity as salt makes the key.
 * @throws {InvalidKeyError}
 */
export function repositoryKey(secret: string | Uint8Array, repositoryId: string): RepositoryKey {
  checkSecret(secret);
  const raw = rawKey(secret);
  if (raw || typeof secret !== "string") return keyOf(raw!, "raw");
  const salt = Buffer.from(repositoryId, "hex");
  return keyOf(scryptSync(secret, salt, 32, { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 }), "scrypt");
}

/** Refuses what can be no key, without the cost of making one. @throws {InvalidKeyError} */
export function checkSecret(secret: string | Uint8Array): void {
  if (rawKey(secret)) return;
  if (typeof secret !== "string" || secret.length < 12) {
    throw new InvalidKeyError("the encryption key is too short", {
      hint: "Give 32 random bytes in hexadecimal (openssl rand -hex 32) or base64, or a passphrase of 12 characters.",
    });
  }
}

/** A fresh key for one backup or one stretch of WAL. */
export function newDataKey(): Buffer {
  return randomBytes(32);
}

/** Derives the key of one purpose from a data key, so that no two objects share one. */
export function deriveKey(dataKey: Uint8Array, salt: Uint8Array, purpose: string): Buffer {
  return Buffer.from(hkdfSync("sha256", dataKey, salt, `db-backup/v1|${purpose}`, 32));
}

function rawKey(secret: string | Uint8Array): Buffer | undefined {
  if (typeof secret !== "string") return secret.length === 32 ? Buffer.from(secret) : undefined;
  const text = secret.trim();
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, "hex");
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return Buffer.from(text, "base64");
  return undefined;
}

function keyOf(bytes: Buffer, derivation: KeyDerivation): RepositoryKey {
  const id = createHmac("sha256", bytes).update("db-backup/v1|key-id").digest("hex").slice(0, 16);
  return Object.freeze({
    id,
    derivation,
    wrap: (dataKey: Uint8Array, dataKeyId: string = randomBytes(8).toString("hex")): WrappedKey => {
      const nonce = randomBytes(12);
      const cipher = createCipheriv("aes-256-gcm", bytes, nonce).setAAD(Buffer.from(`${id}|${dataKeyId}`));
      const sealed = Buffer.concat([nonce, cipher.update(dataKey), cipher.final(), cipher.getAuthTag()]);
      return { format: "db-backup-key/1", dataKeyId, keyId: id, wrapped: sealed.toString("hex") };
    },
    unwrap: (wrapped: WrappedKey, objectKey: string): Buffer => {
      const sealed = Buffer.from(wrapped.wrapped, "hex");
      try {
        const decipher = createDecipheriv("aes-256-gcm", bytes, sealed.subarray(0, 12))
          .setAAD(Buffer.from(`${wrapped.keyId}|${wrapped.dataKeyId}`))
          .setAuthTag(sealed.subarray(44));
        return Buffer.concat([decipher.update(sealed.subarray(12, 44)), decipher.final()]);
      } catch (cause) {
        throw new CorruptObjectError(objectKey, "the wrapped key does not open", { cause });
      }
    },
  });
}
