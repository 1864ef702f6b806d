import { expect, test } from "vitest";
import { type TarEntry, TarReader } from "./tar.ts";

function header(name: string, size: number, type = "0", target = ""): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0);
  block.write("0000600\0", 100);
  if (size < 8 ** 11) block.write(`${size.toString(8).padStart(11, "0")} `, 124);
  else {
    block[124] = 0x80;
    block.writeBigUInt64BE(BigInt(size), 128);
  }
  block.write("15014000000 ", 136);
  block.write(type, 156);
  block.write(target, 157);
  return seal(block);
}

function seal(block: Buffer): Buffer {
  block.write("        ", 148);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

async function read(archive: Buffer, step: number): Promise<{ entries: TarEntry[]; data: string[]; ended: number }> {
  const entries: TarEntry[] = [];
  const data: string[] = [];
  let ended = 0;
  const reader = new TarReader("base.tar", {
    entry: (entry) => void (entries.push(entry), data.push("")),
    data: (chunk) => void (data[data.length - 1] += chunk.toString()),
    endEntry: () => void ended++,
  });
  for (let at = 0; at < archive.length; at += step) await reader.write(archive.subarray(at, at + step));
  reader.end();
  return { entries, data, ended };
}

const archive = Buffer.concat([
  header("backup_label", 5),
  Buffer.from("hello".padEnd(512, "\0")),
  header("./base/", 0, "5"),
  header("pg_tblspc/16384", 0, "2", "/elsewhere"),
  header("base/empty", 0),
]);

test.each([1, 7, 511, 512, 100_000])(
  "reads entries from pieces of %i bytes, with and without the end blocks",
  async (step) => {
    for (const bytes of [archive, Buffer.concat([archive, Buffer.alloc(1024)])]) {
      const { entries, data, ended } = await read(bytes, step);
      expect(entries.map(({ path, type }) => [path, type])).toEqual([
        ["backup_label", "file"],
        ["base", "directory"],
        ["pg_tblspc/16384", "link"],
        ["base/empty", "file"],
      ]);
      expect(data).toEqual(["hello", "", "", ""]);
      expect(entries[2]?.target).toBe("/elsewhere");
      expect(ended).toBe(4);
    }
  },
);

test("reads sizes above 8 GiB", async () => {
  const sizes: number[] = [];
  const reader = new TarReader("base.tar", {
    entry: ({ sizeBytes }) => void sizes.push(sizeBytes),
    data: () => undefined,
    endEntry: () => undefined,
  });
  await reader.write(header("base/large", 20 * 1024 ** 3));
  expect(sizes).toEqual([20 * 1024 ** 3]);
  expect(() => reader.end()).toThrow("ends inside an entry");
});

test.each(["../etc/passwd", "/etc/passwd", "a/../../b", "C:/x", "a\\b", "a//b"])(
  "refuses the name %s",
  async (name) => {
    await expect(read(header(name, 0), 512)).rejects.toMatchObject({ code: "BACKUP_UNSAFE_PATH" });
  },
);

test("refuses a header whose sum is wrong, and an archive that stops inside a file", async () => {
  const broken = header("x", 0);
  broken[0]! ^= 1;
  await expect(read(broken, 512)).rejects.toMatchObject({ code: "BACKUP_PROTOCOL" });
  await expect(read(archive.subarray(0, 514), 512)).rejects.toMatchObject({ code: "BACKUP_PROTOCOL" });
});
