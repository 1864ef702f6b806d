import type pg from "pg";
import { Connection } from "./connection.ts";
import { traceConnect } from "./diagnostics.ts";
import { ConnectTimeoutError } from "./errors.ts";
import type { ResolvedPoolOptions } from "./options.ts";
import { Wire } from "./wire.ts";
import type { ClientConstructor, ServerSpec } from "./server-spec.ts";

/** What is needed to open a connection. */
export interface OpenOptions {
  readonly server: string;
  readonly options: ResolvedPoolOptions;
  readonly generation: number;
  readonly spec: ServerSpec;
  /** The client that was refused for its use of TLS, when this one is to go the other way. */
  readonly after?: pg.Client | undefined;
}

/**
 * Opens one connection under one deadline over name look-up, TCP, TLS and authentication, then runs pg's hooks.
 * The client is returned at once, so that it can be counted and destroyed while it connects.
 */
export function openConnection(of: OpenOptions): { client: pg.Client; opened: Promise<Connection> } {
  const client = of.spec.newClient(of.options.pg.Client as ClientConstructor | undefined, of.after);
  return { client, opened: traceConnect(of.server, () => finish(client, of)) };
}

async function finish(client: pg.Client, { server, options, generation }: OpenOptions): Promise<Connection> {
  // Without a listener, an error on a connection nobody holds would end the process.
  client.on("error", () => undefined);
  const connecting = connected(client, server, options.connectTimeoutMs);
  const wire = options.pg.Client === undefined ? Wire.attach(client) : undefined;
  await connecting;
  try {
    await options.pg.onConnect?.(client);
  } catch (error) {
    await client.end();
    throw error;
  }
  const { maxLifetimeMs, maxLifetimeJitter } = options;
  const createdAt = performance.now();
  const lifetime = maxLifetimeMs === false ? Infinity : maxLifetimeMs * (1 - Math.random() * maxLifetimeJitter);
  const connection = new Connection(client, {
    server,
    generation,
    createdAt,
    expiresAt: createdAt + lifetime,
    wire: wire?.(),
    standing: options.clientHandles === "per-connection",
  });
  await verified(connection, options);
  return connection;
}

/** Resolves when the client is ready; at the deadline its socket is destroyed, so no late connection is left behind. */
function connected(client: pg.Client, server: string, timeoutMs: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = Number.isFinite(timeoutMs)
    ? setTimeout(() => {
        client.connection?.stream?.destroy();
        reject(new ConnectTimeoutError({ server, timeoutMs }));
      }, timeoutMs)
    : undefined;
  client.connect((error: Error | null) => {
    clearTimeout(timer);
    if (error) {
      // pg leaves the socket of a refused login open until the server closes it.
      client.connection?.stream?.destroy();
      reject(error);
    } else resolve();
  });
  return promise;
}

/** pg's `verify` hook, which answers by callback. */
function verified(connection: Connection, { pg: { verify } }: ResolvedPoolOptions): Promise<void> {
  if (!verify) return Promise.resolve();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  verify(connection.client, (error?: Error) => {
    if (!error) return resolve();
    void connection.client.end();
    reject(error);
  });
  return promise;
}

/**
 * Connects a client that belongs to no pool of connections: the way the server takes it. `made` hears of each client
 * before it connects.
 */
export async function connectClient(spec: ServerSpec, made: (client: pg.Client) => void): Promise<pg.Client> {
  const client = spec.newClient();
  made(client);
  try {
    await client.connect();
    return client;
  } catch (error) {
    if (!spec.hasOtherWay(client, error)) throw error;
    client.connection?.stream?.destroy();
    const other = spec.newClient(undefined, client);
    made(other);
    await other.connect();
    return other;
  }
}
