/** One object as a storage lists it. */
export interface StoredObject {
  /** Relative, with forward slashes: `7393…/backups/20261110-030000F/manifest.json`. */
  readonly key: string;
  readonly sizeBytes: number;
  /** Milliseconds since the epoch. */
  readonly modifiedAt: number;
}

/** How an object is read. */
export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  /** True: the reader is done with a chunk when it asks for the next, so that its memory may be filled again. */
  readonly reuse?: boolean | undefined;
}

/** How an object is written. */
export interface WriteOptions {
  /** Fail with `ObjectExistsError` instead of replacing. Default true: objects of a repository do not change. */
  readonly ifAbsent?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * An object being written. It is not there for any reader before `commit` resolves, and then it is there whole and
 * survives a power cut.
 */
export interface ObjectWriter {
  /** Resolves when the storage can take more; the chunk may be reused then. */
  write(chunk: Uint8Array): Promise<void>;
  commit(): Promise<void>;
  /** Leaves nothing. May be called after a failure, never throws. */
  abort(): Promise<void>;
}

/**
 * A storage driver: the little a repository needs of a file system or an object store. Every driver passes the same
 * contract suite.
 */
export interface Storage {
  /** For messages and reports, without secrets: `/var/backups`, `s3://bucket/prefix`. */
  readonly location: string;
  /** Objects whose key begins with `prefix`, in the order of their keys. Unfinished writes are not listed. */
  list(prefix: string, options?: { readonly signal?: AbortSignal | undefined }): AsyncIterable<StoredObject>;
  /** @throws {ObjectNotFoundError} before the first chunk */
  read(key: string, options?: ReadOptions): AsyncIterable<Uint8Array>;
  create(key: string, options?: WriteOptions): Promise<ObjectWriter>;
  /** Removes one object; one that is not there counts as removed. */
  remove(key: string): Promise<void>;
  /** Removes what unfinished writes left behind and is older than `olderThanMs`. @returns how many */
  removeUnfinished(olderThanMs: number): Promise<number>;
}

/** Reads a small object whole. @throws {ObjectNotFoundError} */
export async function readObject(storage: Storage, key: string, signal?: AbortSignal): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of storage.read(key, { signal })) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Writes a small object whole. @throws {ObjectExistsError} */
export async function writeObject(
  storage: Storage,
  key: string,
  content: Uint8Array,
  options: WriteOptions = {},
): Promise<void> {
  const writer = await storage.create(key, options);
  try {
    await writer.write(content);
    await writer.commit();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}
