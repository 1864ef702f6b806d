import { connect, createServer, type Socket } from "node:net";

/** A door of this process in front of a server: what passes it can be cut, and let through again. */
export interface FaultGate extends AsyncDisposable {
  /** Where to connect instead of to the server; always on 127.0.0.1. */
  readonly port: number;
  /** Connections that were tried so far, the refused ones too. */
  readonly attempts: number;
  /** Ends every connection and refuses new ones, until `restore`. */
  cut(): void;
  restore(): void;
  /** Ends the connection that next sends something, before it reaches the server. Once. */
  loseNext(): void;
}

/** Opens a gate. `path` is a socket directory's file, otherwise host and port are used. Bytes pass as they are: TLS too. */
export async function openFaultGate(
  server: { readonly host: string; readonly port: number } | { readonly path: string },
): Promise<FaultGate> {
  const pairs = new Map<Socket, Socket>();
  let attempts = 0;
  let isCut = false;
  let losesNext = false;
  const end = (near: Socket): void => {
    pairs.get(near)?.destroy();
    pairs.delete(near);
    near.resetAndDestroy();
  };
  const listener = createServer((near) => {
    attempts += 1;
    near.on("error", () => end(near));
    if (isCut) return end(near);
    const far = connect({ ...server });
    pairs.set(near, far);
    far.on("error", () => end(near));
    near.on("data", (bytes) => {
      if (losesNext) {
        losesNext = false;
        end(near);
      } else far.write(bytes);
    });
    far.pipe(near);
    near.on("end", () => far.end());
    near.on("close", () => (far.destroy(), pairs.delete(near)));
  });
  await new Promise<void>((done, fail) => {
    listener.once("error", fail);
    listener.listen(0, "127.0.0.1", done);
  });
  const { port } = listener.address() as { port: number };
  return {
    port,
    get attempts() {
      return attempts;
    },
    cut() {
      isCut = true;
      for (const near of pairs.keys()) end(near);
    },
    restore() {
      isCut = false;
    },
    loseNext() {
      losesNext = true;
    },
    async [Symbol.asyncDispose]() {
      isCut = true;
      for (const near of pairs.keys()) end(near);
      await new Promise<void>((done) => void listener.close(() => done()));
    },
  };
}
