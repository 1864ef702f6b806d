import { createHash, randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import {
  CorruptObjectError,
  InvalidBackupOptionsError,
  MissingKeyError,
  ObjectExistsError,
  ObjectNotFoundError,
  StorageError,
  UnsupportedLocationError,
  WrongKeyError,
} from "../errors.ts";
import {
  checkSecret,
  type KeyDerivation,
  newDataKey,
  type RepositoryKey,
  repositoryKey,
  type WrappedKey,
} from "./key.ts";
import {
  dataKeyKey,
  identityKey,
  nextDataKeyKey,
  parseBackupKey,
  parseDataKeyKey,
  parseDumpKey,
  parseWalRecordKey,
  readmeKey,
  rescueKey,
} from "./layout.ts";
import { localStorage } from "./local-storage.ts";
import { decodeRecord, encodeRecord } from "./record.ts";
import { readmeText, rescueScript } from "./rescue.ts";
import { readObject, type Storage, writeObject } from "./storage.ts";

/** What a repository says of itself, in `repository.json`. */
export interface RepositoryIdentity {
  readonly format: "db-backup/1";
  /** 32 hexadecimal digits; also the salt of a passphrase. */
  readonly id: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly encryption: {
    readonly algorithm: "aes-256-gcm";
    readonly keyId: string;
    readonly derivation: KeyDerivation;
  } | null;
  /** SHA-256 of the README and the rescue script stored beside. */
  readonly documents: { readonly readme: string; readonly rescue: string };
}

/** How a repository is opened. */
export interface RepositoryOptions {
  /**
   * 32 bytes (raw, hexadecimal or base64) or a passphrase of 12 characters or more. Without it an encrypted repository
   * can be listed and its checksums verified, nothing else.
   */
  readonly encryptionKey?: string | Uint8Array | undefined;
}

/** A key of one backup, ready for use. */
export interface DataKey {
  readonly id: string;
  readonly bytes: Buffer;
}

interface DataKeyName {
  readonly systemIdentifier: string;
  readonly dataKeyId: string;
}

/** Where backups and WAL live: a storage, an identity, and the key when one was given. Holds nothing open. */
export class Repository {
  readonly storage: Storage;
  #secret: string | Uint8Array | undefined;
  #identity: RepositoryIdentity | undefined;
  #key: RepositoryKey | undefined;

  private constructor(storage: Storage, secret: string | Uint8Array | undefined) {
    this.storage = storage;
    this.#secret = secret;
  }

  /** @throws {WrongKeyError} @throws {InvalidKeyError} */
  static async open(storage: Storage, options: RepositoryOptions): Promise<Repository> {
    // An empty string is what an unset variable often looks like: it is no key.
    const secret = options.encryptionKey === "" ? undefined : options.encryptionKey;
    const repository = new Repository(storage, secret);
    // A key too weak is refused now, not at the first backup.
    if (secret !== undefined) checkSecret(secret);
    await repository.#load();
    return repository;
  }

  /** For messages; holds no secret. */
  get location(): string {
    return this.storage.location;
  }

  /** Undefined until the first backup made it. */
  get identity(): RepositoryIdentity | undefined {
    return this.#identity;
  }

  /**
   * Looks again for the identity when there was none: another process may have made the repository since.
   * @throws {WrongKeyError}
   */
  async refresh(): Promise<void> {
    if (!this.#identity) await this.#load();
  }

  /**
   * Looks whether a repository that was there still is: what a mount point shows without its disk is an empty place.
   * @throws {StorageError}
   */
  async checkPresent(): Promise<void> {
    if (!this.#identity) return;
    try {
      await readObject(this.storage, identityKey);
    } catch (error) {
      if (!(error instanceof ObjectNotFoundError)) throw error;
      throw new StorageError(`the repository at ${this.location} is not there any more`, {
        hint: "Mount it again; nothing was written.",
      });
    }
  }

  /** True when there is a key, or none is needed. */
  get canDecrypt(): boolean {
    return this.#key !== undefined || this.#identity?.encryption === null;
  }

  /**
   * Makes the repository when it is not there yet, and checks that backups may be written with the key given: plain
   * and encrypted backups never mix.
   * @throws {MissingKeyError}
   */
  async initialise(createdAt: string): Promise<RepositoryIdentity> {
    await this.refresh();
    if (!this.#identity) await this.#create(createdAt);
    const identity = this.#identity!;
    if (!identity.encryption && this.#secret !== undefined) {
      throw new MissingKeyError(`the repository ${this.location} is not encrypted, and a key was given`, {
        hint: "Begin a new repository for encrypted backups; the two never mix.",
      });
    }
    this.requireKey();
    return identity;
  }

  /** @throws {MissingKeyError} when the repository is encrypted and was opened without its key */
  requireKey(): void {
    if (this.#identity?.encryption && !this.#key) {
      throw new MissingKeyError(`the repository ${this.location} is encrypted and no key was given`, {
        hint: "Set BACKUP_ENCRYPTION_KEY, or BACKUP_ENCRYPTION_KEY_FILE.",
      });
    }
  }

  /** Makes and stores a fresh data key; undefined in a repository that is not encrypted. */
  async createDataKey(systemIdentifier: string): Promise<DataKey | undefined> {
    if (!this.#key) return undefined;
    const bytes = newDataKey();
    const wrapped = this.#key.wrap(bytes);
    await writeObject(this.storage, dataKeyKey(systemIdentifier, wrapped.dataKeyId), encodeRecord(wrapped));
    return { id: wrapped.dataKeyId, bytes };
  }

  /** Forgets a data key nothing was written with, or nothing is left of. */
  async removeDataKey(systemIdentifier: string, dataKeyId: string): Promise<void> {
    await this.storage.remove(dataKeyKey(systemIdentifier, dataKeyId));
  }

  /** @throws {MissingKeyError} @throws {WrongKeyError} @throws {CorruptObjectError} */
  async readDataKey(systemIdentifier: string, dataKeyId: string): Promise<DataKey> {
    const objectKey = dataKeyKey(systemIdentifier, dataKeyId);
    await this.refresh();
    this.requireKey();
    if (!this.#key) throw new CorruptObjectError(objectKey, "belongs to an encrypted backup, the repository is plain");
    let wrapped = await readRecord<WrappedKey>(this.storage, objectKey);
    if (wrapped.keyId !== this.#key.id) {
      // A rotation that was cut short left the key for this one beside it.
      const next = nextDataKeyKey(systemIdentifier, dataKeyId, this.#key.id);
      wrapped = await readRecord<WrappedKey>(this.storage, next).catch(() => wrapped);
    }
    if (wrapped.dataKeyId !== dataKeyId) throw new CorruptObjectError(objectKey, "is the key of another backup");
    if (wrapped.keyId !== this.#key.id) throw wrongKey(this.location);
    return { id: dataKeyId, bytes: this.#key.unwrap(wrapped, objectKey) };
  }

  /**
   * Wraps every data key for another repository key, in three passes: the new wrapping beside the old one, the identity,
   * the new in place of the old. The identity is the moment from which the new key counts.
   */
  async rewrapKeys(
    secret: string | Uint8Array,
    onKey: (done: number, total: number) => void,
  ): Promise<{ readonly oldKeyId: string; readonly newKeyId: string; readonly dataKeys: number }> {
    const identity = this.#identity!;
    const old = this.#key!;
    const next = repositoryKey(secret, identity.id);
    const keys = await this.#dataKeys();
    const rewrap = async (key: DataKeyName): Promise<Buffer> => {
      const { bytes } = await this.readDataKey(key.systemIdentifier, key.dataKeyId);
      return encodeRecord(next.wrap(bytes, key.dataKeyId));
    };
    for (const [index, key] of keys.entries()) {
      const beside = nextDataKeyKey(key.systemIdentifier, key.dataKeyId, next.id);
      await writeObject(this.storage, beside, await rewrap(key), { ifAbsent: false });
      onKey(index + 1, keys.length * 2);
    }
    const encryption = { algorithm: "aes-256-gcm", keyId: next.id, derivation: next.derivation } as const;
    await writeObject(this.storage, identityKey, encodeRecord({ ...identity, encryption }), { ifAbsent: false });
    // Whatever was written with the old key since the first pass is found now, while both keys are at hand.
    const all = await this.#dataKeys();
    for (const [index, key] of all.entries()) {
      const place = dataKeyKey(key.systemIdentifier, key.dataKeyId);
      const beside = nextDataKeyKey(key.systemIdentifier, key.dataKeyId, next.id);
      await writeObject(this.storage, place, await rewrap(key), { ifAbsent: false });
      await this.storage.remove(beside);
      onKey(keys.length + index + 1, keys.length + all.length);
    }
    this.#identity = { ...identity, encryption };
    this.#key = next;
    this.#secret = secret;
    return { oldKeyId: old.id, newKeyId: next.id, dataKeys: all.length };
  }

  async #dataKeys(): Promise<DataKeyName[]> {
    const found: DataKeyName[] = [];
    for await (const { key } of this.storage.list("")) {
      const parsed = parseDataKeyKey(key);
      if (parsed && parsed.keyId === undefined) found.push(parsed);
    }
    return found;
  }

  async #load(): Promise<void> {
    let identity;
    try {
      identity = decodeRecord<RepositoryIdentity>(await readObject(this.storage, identityKey), identityKey);
    } catch (error) {
      if (error instanceof ObjectNotFoundError) return;
      throw error;
    }
    if (identity.format !== "db-backup/1") {
      throw new CorruptObjectError(identityKey, "the repository has a format this version does not know", {
        hint: "Use the version that wrote it, or a newer one.",
      });
    }
    this.#identity = identity;
    if (!identity.encryption || this.#secret === undefined) return;
    const key = repositoryKey(this.#secret, identity.id);
    if (key.id !== identity.encryption.keyId) throw wrongKey(this.location);
    this.#key = key;
  }

  async #create(createdAt: string): Promise<void> {
    for await (const { key } of this.storage.list("")) {
      // A new identity would have another salt and shut the old backups out.
      if (parseBackupKey(key) ?? parseDumpKey(key) ?? parseWalRecordKey(key)) {
        throw new CorruptObjectError(identityKey, "is missing, and backups are there", {
          hint: "Put repository.json back, or begin another repository.",
        });
      }
    }
    const id = randomBytes(16).toString("hex");
    const key = this.#secret === undefined ? undefined : repositoryKey(this.#secret, id);
    const digest = (text: string): string => createHash("sha256").update(text).digest("hex");
    const identity: RepositoryIdentity = {
      format: "db-backup/1",
      id,
      createdAt,
      encryption: key ? { algorithm: "aes-256-gcm", keyId: key.id, derivation: key.derivation } : null,
      documents: { readme: digest(readmeText), rescue: digest(rescueScript) },
    };
    await writeObject(this.storage, readmeKey, Buffer.from(readmeText), { ifAbsent: false });
    await writeObject(this.storage, rescueKey, Buffer.from(rescueScript), { ifAbsent: false });
    try {
      await writeObject(this.storage, identityKey, encodeRecord(identity));
    } catch (error) {
      // Somebody else made it a moment ago: theirs counts.
      if (!(error instanceof ObjectExistsError)) throw error;
    }
    await this.#load();
  }
}

/**
 * Opens the place where backups live. Writes nothing: the first backup makes what is missing.
 * @param location a directory, a `file://` URL, or a storage driver
 * @throws {WrongKeyError} @throws {InvalidKeyError} @throws {UnsupportedLocationError} @throws {CorruptObjectError}
 */
export async function openRepository(location: string | Storage, options: RepositoryOptions = {}): Promise<Repository> {
  return Repository.open(typeof location === "string" ? storageAt(location) : location, options);
}

/** Reads a record and checks it. @throws {CorruptObjectError} also when it is not there */
export async function readRecord<T extends object>(storage: Storage, key: string, signal?: AbortSignal): Promise<T> {
  try {
    return decodeRecord<T>(await readObject(storage, key, signal), key);
  } catch (error) {
    if (error instanceof ObjectNotFoundError) throw new CorruptObjectError(key, "is missing");
    throw error;
  }
}

function storageAt(location: string): Storage {
  if (location.trim() === "") {
    throw new InvalidBackupOptionsError("the repository's location is empty", { hint: "Name a directory." });
  }
  if (location.startsWith("file://")) return localStorage(fileURLToPath(location));
  // Two letters or more: `C:\` is a directory.
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(location)?.[1];
  if (scheme !== undefined) {
    throw new UnsupportedLocationError(`no storage driver for ${scheme}:// locations`, {
      hint: "Give a directory, or pass a storage driver to openRepository.",
    });
  }
  return localStorage(location);
}

function wrongKey(location: string): WrongKeyError {
  return new WrongKeyError(`the encryption key is not the one of the repository ${location}`, {
    hint: "Give the key that was set when the repository's first backup was taken.",
  });
}
