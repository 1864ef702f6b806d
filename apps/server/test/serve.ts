import { type AdminAction, type AggregateHealth, startServer, type StatusServer, type StatusSource } from "@db/server";
import { samplePage } from "@db/dashboard/sample-page";

const time = "2026-11-21T10:14:03.000Z";

export const well: AggregateHealth = {
  status: "pass",
  checks: [{ name: "primary:reachable", status: "pass", observedValue: 1.2, observedUnit: "ms", time }],
};
export const token = "0123456789abcdef0123456789abcdef";
export const tokens = {
  metrics: `m${token}`,
  read: `r${token}`,
  operate: `o${token}`,
  admin: `a${token}`,
} as const;
export const scoped: readonly string[] = Object.entries(tokens).map(([scope, each]) => `${scope}:${each}`);

const running: StatusServer[] = [];

/** Ends every server that a test started. */
export async function closeAll(): Promise<void> {
  await Promise.all(running.splice(0).map((server) => server.close()));
}

/** Metrics as a source gives them: through one buffer, each piece over the one before. */
export function written(...pieces: readonly string[]): Awaited<ReturnType<StatusSource["metricsText"]>> {
  return async (sink) => {
    const buffer = Buffer.alloc(Math.max(...pieces.map((piece) => piece.length)));
    for (const piece of pieces) {
      const bytes = buffer.subarray(0, buffer.write(piece));
      await new Promise<void>((resolve, reject) => {
        sink.write(bytes, (error) => (error ? reject(error) : resolve()));
      });
    }
  };
}

/** A source that knows what a test gives it. */
export function sourceOf(source: Partial<StatusSource> = {}): StatusSource {
  return {
    health: async () => well,
    page: async ({ page, range, signedInAs }) => ({
      ...samplePage,
      head: { ...samplePage.head, page, range, signedInAs },
    }),
    list: async () => ({ asOf: time, rows: Array.from({ length: 250 }, (_, n) => ({ n })), note: null }),
    plan: async (queryId) => (queryId === "7" ? { queryId, query: "select $1", nodes: [], note: null } : undefined),
    seriesNames: ["commits"],
    series: ({ name, from, to, stepMs }) => ({ name, from, to, stepMs, series: [], markers: [] }),
    metricsText: async (format) => written(format === "openmetrics" ? "pg_up 1\n# EOF\n" : "pg_up 1\n"),
    metricsJson: async (detailed) => ({ detailed }),
    started: () => true,
    ...source,
  };
}

export interface Ask {
  readonly server: StatusServer;
  readonly get: (path: string, headers?: Record<string, string>, method?: string) => Promise<Response>;
  readonly post: (path: string, body?: unknown, headers?: Record<string, string>) => Promise<Response>;
}

export async function serve(
  source: Partial<StatusSource> = {},
  options: Partial<Parameters<typeof startServer>[0]> = {},
): Promise<Ask> {
  const server = await startServer({ source: sourceOf(source), updateIntervalMs: 20, ...options });
  running.push(server);
  return {
    server,
    get: (path, headers = {}, method = "GET") => fetch(server.url + path, { headers, method, redirect: "manual" }),
    post: (path, body, headers = {}) =>
      fetch(server.url + path, {
        method: "POST",
        redirect: "manual",
        headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
  };
}

export const bearer = (given: string): Record<string, string> => ({ authorization: `Bearer ${given}` });

/** An action on a thing that a test may change between plan and execution. */
export function actionOn(thing: { value: number; done: string[] }, wait?: Promise<void>): AdminAction {
  return {
    name: "things.turn",
    group: "things",
    path: "things/:id/turn",
    scope: "operate",
    summary: "turn a thing",
    params: { type: "object", properties: { id: { type: "integer" } }, required: ["id"] },
    body: { type: "object", properties: { by: { type: "integer" } }, required: ["by"] },
    plan: async ({ id, by }) => ({
      title: `Turn thing ${id}`,
      facts: [`It stands at ${thing.value}.`],
      sql: [`select turn(${id}, ${by})`],
      identity: thing.value,
    }),
    async execute({ id, by }, { actor }) {
      await wait;
      thing.done.push(`${actor}:${id}:${by}`);
      return { at: thing.value };
    },
  };
}
