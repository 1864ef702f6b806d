import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { frameBytes } from "./frame.ts";
import { FrameThreads } from "./frame-threads.ts";
import { localStorage } from "./local-storage.ts";
import { readSealed, SealedWriter } from "./sealed-object.ts";

const compression = { algorithm: "zstd", level: 1 } as const;
const dataKey = Buffer.alloc(32, 7);
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "threads-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** A program for threads that serves one frame and ends in the middle of the next. */
function dyingProgram(last: string): URL {
  const program = `
    import { parentPort } from "node:worker_threads";
    let served = 0;
    parentPort.on("message", ({ id, memory }) => {
      if (served++ > 0) { ${last} }
      parentPort.postMessage({ id, memory, begin: 0, end: 100 }, [memory]);
    });`;
  return new URL(`data:text/javascript,${encodeURIComponent(program)}`);
}

test.each([
  ["ends by itself", "process.exit(3)", /ended by itself with 3/],
  ["throws", "throw new Error('out of luck')", /a thread failed: out of luck/],
] as const)("a thread that %s fails what is being written, and leaves nothing of it", async (_how, last, message) => {
  const storage = localStorage(join(directory, "dying"));
  await using threads = new FrameThreads(2, dyingProgram(last));
  const writer = await SealedWriter.create(storage, "object", { dataKey, compression, sealer: threads });
  const written = (async () => {
    for (let frame = 0; frame < 12; frame++) await writer.write(Buffer.alloc(frameBytes, frame));
    return writer.finish();
  })();
  await expect(written).rejects.toMatchObject({
    code: "BACKUP_THREADS_ENDED",
    message: expect.stringMatching(message) as string,
    retryable: true,
  });
  await writer.abort();
  expect(threads.failed).toBe(true);
  expect(await readdir(join(directory, "dying"))).toEqual([]);
  // Who comes later is told as well, and at once.
  const later = await SealedWriter.create(storage, "later", { dataKey, compression, sealer: threads });
  await expect(later.finish()).rejects.toMatchObject({ code: "BACKUP_THREADS_ENDED" });
  await later.abort();
});

test("threads that are ended under a reader end it with an error, not with less than there is", async () => {
  const storage = localStorage(join(directory, "ended"));
  const writer = await SealedWriter.create(storage, "object", { dataKey, compression });
  for (let frame = 0; frame < 12; frame++) await writer.write(Buffer.alloc(frameBytes, frame));
  await writer.finish();
  const threads = new FrameThreads(2);
  const read = async (): Promise<number> => {
    let frames = 0;
    for await (const part of readSealed(storage, "object", { dataKey, opener: threads })) {
      expect(part.every((byte) => byte === frames)).toBe(true);
      if (++frames === 2) await threads.close();
    }
    return frames;
  };
  await expect(read()).rejects.toMatchObject({ code: "BACKUP_THREADS_ENDED" });
});
