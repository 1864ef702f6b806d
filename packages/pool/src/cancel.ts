import type { Client } from "pg";
import type { ServerSpec } from "./server-spec.ts";

/** pg's connection, with the calls its types leave out. */
interface RawConnection {
  readonly stream: { destroy(): void; unref?(): void };
  connect(portOrPath: number | string, host?: string): void;
  requestSsl(): void;
  cancel(processId: number, secretKey: number): void;
  on(event: "connect" | "sslconnect" | "error" | "end", listener: () => void): void;
}

/** pg holds its TLS options in `ssl`, or false. */
function newClientLike(spec: ServerSpec, encrypted: boolean): Client {
  const client = spec.newClient();
  const isEncrypted = Boolean((client as { readonly ssl: unknown }).ssl);
  return isEncrypted === encrypted ? client : spec.newClient(undefined, client);
}

/**
 * Asks the server to cancel what a backend is running, on a connection of its own, with TLS where the pool uses it.
 * Resolves when the server has taken note (it closes the connection then) or after `timeoutMs`; never rejects, since
 * the outcome shows only on the cancelled connection.
 * @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
 */
export function cancelBackend(
  spec: ServerSpec,
  /** `encrypted`: whether the connection that is cancelled uses TLS; its cancel goes the same way. */
  backend: { readonly processId: number; readonly secretKey: number; readonly encrypted: boolean },
  timeoutMs: number,
): Promise<void> {
  const client = newClientLike(spec, backend.encrypted) as unknown as {
    readonly connection: RawConnection;
    readonly host: string;
    readonly port: number;
    readonly ssl: unknown;
    readonly sslNegotiation: string;
  };
  const { connection, host, port, ssl } = client;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(() => connection.stream.destroy(), timeoutMs);
  const end = (): void => {
    clearTimeout(timer);
    resolve();
  };
  const cancel = (): void => connection.cancel(backend.processId, backend.secretKey);
  connection.on("connect", () => {
    if (!ssl) cancel();
    else if (client.sslNegotiation !== "direct") connection.requestSsl();
  });
  connection.on("sslconnect", cancel);
  connection.on("error", end);
  connection.on("end", end);
  if (host.startsWith("/")) connection.connect(`${host}/.s.PGSQL.${port}`);
  else connection.connect(port, host);
  return promise;
}
