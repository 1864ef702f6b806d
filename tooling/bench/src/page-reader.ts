import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";

/** Reads one page again and again over one connection, as a scraper does. */
export interface PageReader {
  /** @returns the length of the body, bytes. @throws {Error} for an answer other than 200, or one without its length */
  read(): Promise<number>;
  close(): void;
}

/** As little work as can be: what the reader takes from the processors is not the server's. */
export function openPageReader(port: number, path: string): PageReader {
  const request = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`;
  let socket: Socket | undefined;
  let waiting: { readonly resolve: (bytes: number) => void; readonly reject: (error: Error) => void } | undefined;
  let body: number | undefined;
  let left = 0;
  const end = (error?: Error): void => {
    const asked = waiting;
    waiting = undefined;
    if (error) asked?.reject(error);
    else asked?.resolve(body ?? 0);
    body = undefined;
  };
  const take = (bytes: number, buffer: Uint8Array): boolean => {
    if (body === undefined) {
      const head = Buffer.from(buffer.buffer, 0, Math.min(bytes, 2_000)).toString("latin1");
      const length = /^HTTP\/1\.1 200 [^]*\r\ncontent-length: (\d+)(?=\r\n)[^]*?\r\n\r\n/i.exec(head);
      if (!length) {
        end(new Error(`no page: ${head.slice(0, 200)}`));
        return true;
      }
      body = Number(length[1]);
      left = length[0].length + body;
    }
    left -= bytes;
    if (left === 0) end();
    return true;
  };
  const open = (): Socket => {
    const opened = connect({ host: "127.0.0.1", port, onread: { buffer: Buffer.alloc(262_144), callback: take } });
    opened.on("error", end);
    opened.on("close", () => {
      if (socket === opened) socket = undefined;
      end(new Error("the connection was closed"));
    });
    return opened;
  };
  return {
    read: () =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        socket ??= open();
        socket.write(request);
      }),
    close: () => socket?.destroy(),
  };
}
