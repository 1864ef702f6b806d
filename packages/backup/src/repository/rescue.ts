/** Stored beside the first backup: how to get the data back without this package. */
export const readmeText: string = `This directory holds physical backups of PostgreSQL clusters.

To restore with nothing but Node 22.15 or newer:

    BACKUP_ENCRYPTION_KEY=... node rescue.mjs list
    BACKUP_ENCRYPTION_KEY=... node rescue.mjs restore <label> <empty directory>

then start PostgreSQL of the same major version on that directory, as its owner (chmod 0700, chown).
Recovery runs by itself and ends at the moment the backup was complete. To go on with the archived WAL, before the
first start, put this into its postgresql.auto.conf, with recovery_target_time and the like as you need them:

    restore_command = 'BACKUP_ENCRYPTION_KEY=... node /path/to/rescue.mjs wal %f %p'

A label that ends with L is a dump of one database: the directory is then pg_dump's, for
pg_restore --format=directory --dbname=... <directory>.

What is here (format db-backup/1):

    repository.json                         identity; "id" is the salt of a passphrase
    <cluster>/keys/<id>.json                data keys, wrapped by the repository's key
    <cluster>/backups/<label>/manifest.json record of a complete backup, written last; without it there is none
    <cluster>/backups/<label>/data/*        the contents of all files, one after the other, cut into packs; or, where
                                            manifest.json lists archives, the server's tar archives, compressed
    <cluster>/backups/<label>/files.sealed  one JSON line per file: path, size, position in the packs, CRC-32C
    <cluster>/backups/<label>/wal/*         the WAL segments the backup needs
    <cluster>/dumps/<label>/*               a dump: the same without WAL
    <cluster>/wal/<timeline>/<id>/*.json    one record per archived WAL segment: "object" beside it is the segment,
                                            sealed as above with the data key "dataKeyId"; a name with .partial-<n>
                                            is a segment's first n bytes (hexadecimal), to be filled up with zeros
    <cluster>/wal/history/*.json            the same for timeline history files
    <cluster>/wal/gaps/*.json               WAL that was never stored: recovery does not pass it

Repository key: 32 bytes in hexadecimal or base64 as they are, anything else is a passphrase:
scrypt(passphrase, salt = id as bytes, N 32768, r 8, p 1, 32 bytes).
Data key: AES-256-GCM under the repository key; "wrapped" is nonce (12), ciphertext (32), tag (16);
additional data is "keyId|dataKeyId".
Sealed object: header of 44 bytes ("DBBK", 1, compression 0 none 1 zstd 2 gzip, encryption 0 or 1, 0, frame size
u32 LE, salt 32), frames, SHA-256 of all before. A frame is u32 LE length (highest bit: last frame) and the bytes,
compressed, then encrypted: key HKDF-SHA256(data key, salt, "db-backup/v1|" + path of the object here), nonce 8 zero
bytes and the frame's number u32 BE, additional data SHA-256(header), number u32 BE, 1 if last else 0, the tag last.
`;

/** Stored too: the reader of this format as one script without dependencies. Kept in plain words, no templates. */
export const rescueScript: string = `// Restores db-backup/1 repositories with Node 22.15 or newer. See README.txt.
import { createDecipheriv, createHash, createHmac, hkdfSync, scryptSync } from "node:crypto";
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, readdirSync } from "node:fs";
import { renameSync, rmSync, statSync, symlinkSync, writeFileSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { createGunzip, createZstdDecompress, gunzipSync, zstdDecompressSync } from "node:zlib";

const root = import.meta.dirname;
const [command, label, target] = process.argv.slice(2);
// To a recovering server 1 says "no such WAL" and ends recovery; whatever else goes wrong must stop it.
const failed = command === "wal" ? 255 : 1;
const fail = (message) => {
  console.error(message);
  process.exit(failed);
};
process.on("uncaughtException", (error) => fail(error.message));
const json = (path) => JSON.parse(readFileSync(join(root, path), "utf8"));
const namesIn = (path) => (existsSync(join(root, path)) ? readdirSync(join(root, path)) : []);
const clusters = namesIn(".").filter((name) => /^[0-9]+$/.test(name));
const backups = clusters.flatMap((cluster) => ["backups", "dumps"].flatMap((kind) =>
  namesIn(cluster + "/" + kind).map((name) => ({ cluster, name, prefix: cluster + "/" + kind + "/" + name + "/" }))))
  .filter(({ prefix }) => existsSync(join(root, prefix + "manifest.json")));

if (command === "list") {
  for (const { name, prefix } of backups) {
    const { stoppedAt, serverVersion, bytes } = json(prefix + "manifest.json");
    console.log([name, stoppedAt, "PostgreSQL " + Math.floor(serverVersion / 10000), bytes + " bytes"].join("  "));
  }
  process.exit(0);
}
if (command === "wal" && target) {
  const folder = label.endsWith(".history") ? "history" : label.slice(0, 8) + "/" + label.slice(8, 16);
  if (!existsSync(join(root, "repository.json"))) fail("repository.json cannot be read");
  const isThere = (place) => {
    try {
      return statSync(join(root, place + label + ".json")).isFile();
    } catch (error) {
      if (error.code === "ENOENT") return false;
      throw error;
    }
  };
  const places = clusters.map((cluster) => cluster + "/wal/" + folder + "/").filter(isThere);
  if (places.length > 1) fail(label + " is there of more than one cluster: move the others away");
  if (places.length === 0) process.exit(1);
  const record = json(places[0] + label + ".json");
  const key = record.dataKeyId === null ? undefined : openDataKey(places[0].split("/")[0], record.dataKeyId);
  const bytes = Buffer.concat([...frames(places[0] + record.object, record.storedSha256, key)]);
  writeFileSync(target + ".unfinished", bytes, { mode: 0o600 });
  renameSync(target + ".unfinished", target);
  process.exit(0);
}
if (command !== "restore" || !target)
  fail("usage: node rescue.mjs list | restore <label> <empty directory> | wal <name> <file>");
const found = backups.find(({ name }) => name === label) ?? fail("no complete backup " + label);
if (existsSync(target) && readdirSync(target).length > 0) fail(target + " is not empty");

const { prefix } = found;
const manifest = json(prefix + "manifest.json");
const isDump = manifest.format === "db-dump/1";
const dataKey = manifest.dataKeyId === null ? undefined : openDataKey(found.cluster, manifest.dataKeyId);

function openDataKey(cluster, id) {
  const text = (process.env.BACKUP_ENCRYPTION_KEY ?? fail("set BACKUP_ENCRYPTION_KEY")).trim();
  const key = /^[0-9a-fA-F]{64}$/.test(text) ? Buffer.from(text, "hex")
    : /^[A-Za-z0-9+/_-]{43}=?$/.test(text) ? Buffer.from(text, "base64")
    : scryptSync(process.env.BACKUP_ENCRYPTION_KEY, Buffer.from(json("repository.json").id, "hex"), 32,
        { N: 32768, r: 8, p: 1, maxmem: 2 ** 26 });
  const { wrapped, keyId, dataKeyId } = json(cluster + "/keys/" + id + ".json");
  if (createHmac("sha256", key).update("db-backup/v1|key-id").digest("hex").slice(0, 16) !== keyId) fail("wrong key");
  const sealed = Buffer.from(wrapped, "hex");
  const opener = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12));
  opener.setAAD(Buffer.from(keyId + "|" + dataKeyId)).setAuthTag(sealed.subarray(44));
  return Buffer.concat([opener.update(sealed.subarray(12, 44)), opener.final()]);
}

function objectOf(name) {
  const { sha256 } = [...manifest.packs, ...manifest.objects].find((candidate) => candidate.name === name);
  return frames(prefix + name, sha256, dataKey);
}

function* frames(path, sha256, dataKey) {
  const raw = readFileSync(join(root, path));
  const body = raw.subarray(0, -32);
  const digest = createHash("sha256").update(body).digest("hex");
  if (digest !== raw.subarray(-32).toString("hex") || digest !== sha256) throw new Error(path + " is damaged");
  const header = body.subarray(0, 44);
  const headerDigest = createHash("sha256").update(header).digest();
  const purpose = "db-backup/v1|" + path;
  const key = dataKey && Buffer.from(hkdfSync("sha256", dataKey, header.subarray(12), purpose, 32));
  for (let at = 44, index = 0; at < body.length; index++) {
    const mark = body.readUInt32LE(at);
    const last = mark >= 0x80000000;
    let frame = body.subarray(at + 4, at + 4 + (mark % 0x80000000));
    at += 4 + frame.length;
    if (key) {
      const nonce = Buffer.alloc(12);
      nonce.writeUInt32BE(index, 8);
      const aad = Buffer.concat([headerDigest, nonce.subarray(8), Buffer.from([last ? 1 : 0])]);
      const opener = createDecipheriv("aes-256-gcm", key, nonce).setAAD(aad).setAuthTag(frame.subarray(-16));
      frame = Buffer.concat([opener.update(frame.subarray(0, -16)), opener.final()]);
    }
    if (frame.length === 0) continue;
    yield header[5] === 1 ? zstdDecompressSync(frame) : header[5] === 2 ? gunzipSync(frame) : frame;
  }
}

const crcTable = Int32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0x82f63b78 : n >>> 1;
  return n;
});

function crc32c(data, crc) {
  crc = ~crc;
  for (let i = 0; i < data.length; i++) crc = crcTable[(crc ^ data[i]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

function place(path) {
  // No name leads out of the directory.
  if (path.startsWith("/") || /[\\\\\\0]/.test(path) || path.split("/").includes("..")) fail("unsafe path: " + path);
  // Tablespaces go beside the data directory.
  const [, oid, rest] = /^pg_tblspc\\/([0-9]+)\\/(.+)$/.exec(path) ?? [];
  return oid && spaces.has(oid) ? join(spaces.get(oid), rest) : join(target, path);
}

async function* content() {
  let first = 0;
  const archives = manifest.archives ?? [];
  const plain = archives.length === 0;
  for (const { packs } of plain ? [{ packs: manifest.packs.length }] : archives) {
    const pieces = manifest.packs.slice(first, first += packs).values().flatMap(({ name }) => objectOf(name));
    // The server's own archives, as it compressed them: the files lie in them, headers between.
    const unpack = manifest.compression.algorithm === "gzip" ? createGunzip : createZstdDecompress;
    yield* plain ? pieces : Readable.from(pieces).pipe(unpack());
  }
}

const spaces = new Map((manifest.tablespaces ?? []).filter(({ location }) => location.startsWith("/"))
  .map(({ oid }) => [oid, target.replace(/[/]+$/, "") + "-tablespace-" + oid]));
for (const directory of [target, ...spaces.values()]) mkdirSync(directory, { recursive: true, mode: 0o700 });
const lines = Buffer.concat([...objectOf("files.sealed")]).toString("utf8").split("\\n").filter(Boolean).map(JSON.parse);
if (!isDump) mkdirSync(join(target, "pg_wal/archive_status"), { recursive: true, mode: 0o700 });
for (const { path, type } of lines) {
  if (type === "directory") mkdirSync(place(path), { recursive: true, mode: 0o700 });
  else if (type === "link") symlinkSync(spaces.get(path.split("/")[1]), join(target, path));
}
const control = join(target, "global/pg_control");
const source = content();
let rest = Buffer.alloc(0);
let at = 0;
async function take(most) {
  if (rest.length === 0) rest = (await source.next()).value ?? fail("the packs end too early");
  const part = rest.subarray(0, most);
  rest = rest.subarray(part.length);
  at += part.length;
  return part;
}
for (const { path, sizeBytes, position, crc32c: expected } of lines.filter(({ type }) => type === "file")) {
  const file = path === "global/pg_control" ? control + ".unfinished" : place(path);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const handle = openSync(file, "wx", 0o600);
  let crc = 0;
  while (sizeBytes > 0 && at < position) await take(position - at);
  while (sizeBytes > 0 && at < position + sizeBytes) {
    const part = await take(position + sizeBytes - at);
    writeSync(handle, part);
    crc = crc32c(part, crc);
  }
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(crc);
  if (bytes.toString("hex") !== expected) fail(path + " is damaged");
  fsyncSync(handle);
  closeSync(handle);
}
if (isDump) {
  console.log("unpacked " + label + " into " + target + ": give it to pg_restore --format=directory");
  process.exit(0);
}
for (const { segment } of manifest.wal) {
  const bytes = Buffer.concat([...objectOf("wal/" + segment + ".sealed")]);
  writeFileSync(join(target, "pg_wal", segment), bytes, { mode: 0o600 });
}
// Only this backup's WAL is there, so recovery ends at its end.
const settings = ["restore_command = 'exit 1'", "recovery_target = ''", "recovery_target_time = ''",
  "recovery_target_xid = ''", "recovery_target_lsn = ''", "recovery_target_name = ''", "archive_mode = 'off'"];
writeFileSync(join(target, "postgresql.auto.conf"), "\\n" + settings.join("\\n") + "\\n", { flag: "a", mode: 0o600 });
rmSync(join(target, "standby.signal"), { force: true });
writeFileSync(join(target, "recovery.signal"), "", { mode: 0o600 });
renameSync(control + ".unfinished", control);
console.log("restored " + label + " into " + target);
`;
