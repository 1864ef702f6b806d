import { type ClientRequest, request } from "node:http";
import { text as readAll } from "node:stream/consumers";
import { pages } from "@db/dashboard";
import { listNames } from "../src/source.ts";
import { tokens } from "./loaded-platform.ts";

export interface Answer {
  readonly line: string;
  readonly status: number;
  readonly body: string;
  /** As the header says it; absent where there is none. */
  readonly retryAfter?: string | undefined;
}

/**
 * An answer that says "not now" as documented: the server sheds load, or a table is locked while a request needs it.
 * Any other 5xx is a fault.
 */
export function isLater({ status, body, retryAfter }: Answer): boolean {
  return status === 503 && retryAfter !== undefined && /"code":"SERVER_(?:OVERLOADED|DATABASE_BUSY)"/.test(body);
}

/** What no answer may hold: stacks, files, connection strings, secrets and the literals of statements. */
export const leaks =
  /node_modules|(?:\n|\\n)\s+at \S|\.[cm]?[jt]s:\d+|root:x:|postgres(?:ql)?:\/\/|hunter2|a secret|\/tmp\/|\/work\/|\/home\//;

const files = ["/assets/", "/assets/manifest.json", "/assets/../package.json", "/assets/%2e%2e/package.json"];
const paths: readonly string[] = [
  ...pages.map(({ path }) => `/${path}`),
  ...listNames.map((name) => `/api/${name}`),
  "/livez",
  "/readyz",
  "/healthz",
  "/startupz",
  "/api/health/database",
  "/api/health/database/metrics",
  "/metrics",
  "/api/status",
  "/api/series",
  "/openapi.json",
  "/sign-in",
  "/sign-out",
  "/queries/7",
  "/api/queries/7/plan",
  "/api/jobs",
  "/api/jobs/7",
  "/api/admin/sessions/7/cancel",
  "/api/admin/sessions/7/cancel/plan",
  "/api/admin/sessions/7/terminate/plan",
  "/api/admin/statements/reset/plan",
  "/api/admin/backups/plan",
  "/api/admin/backups",
  "/api/admin/migrations/plan",
  "/api/admin/indexes/x/plan",
  "/api/admin/drills",
  ...files,
  "/nowhere",
];
const words: readonly string[] = [
  "..",
  "%2e%2e",
  "%00",
  "'--",
  "<script>",
  "%zz",
  "a".repeat(300),
  "etc/passwd",
  "1;drop table payments",
  "-1",
  "0",
  "7",
  "99999999999999999999",
  "true",
  "null",
  "[]",
  "{}",
  "💥",
  "%F0%9F",
  "NaN",
  "1e999",
  "postgres://u:hunter2@h/d",
  "$1",
  "\\",
];
const parameters: readonly string[] = [
  "limit",
  "cursor",
  "range",
  "page",
  "item",
  "name",
  "from",
  "to",
  "step",
  "detailed",
  "format",
  "collect[]",
  "verbose",
  "exclude",
  "__proto__",
  "constructor",
];
const values: readonly string[] = [
  ...words,
  "1h",
  "7d",
  "json",
  "prometheus",
  "commits",
  "locks",
  "2026-01-01T00:00:00Z",
  "YXQ6MTAw",
];
const methods = ["GET", "GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "OPTIONS"] as const;
const bodies: readonly string[] = [
  "",
  "{",
  "null",
  "[]",
  '"x"',
  "{}",
  '{"token":"x"}',
  '{"token":7}',
  '{"token":null}',
  '{"backendStart":"2026-01-01T00:00:00Z"}',
  '{"backendStart":"\'; select pg_sleep(9)"}',
  '{"__proto__":{"x":1}}',
  '{"by":1e400}',
  "token=x",
  "x".repeat(70_000),
];
const types = [
  "application/json",
  "application/x-www-form-urlencoded",
  "text/plain",
  "application/json; charset=utf-9",
  "",
];
const credentials = [
  "",
  "",
  `Bearer ${tokens.metrics}`,
  `Bearer ${tokens.read}`,
  `Bearer ${tokens.operate}`,
  `Bearer ${tokens.admin}`,
  "Bearer x",
  "Basic eDp5",
  "Bearer",
];

/** The same requests for the same seed: paths, queries, bodies and headers that fit and that do not. */
export function* strangeRequests(seed: number, count: number): Generator<StrangeRequest> {
  let state = seed;
  const random = (limit: number): number => (state = (state * 48_271) % 2_147_483_647) % limit;
  const pick = <T>(of: readonly T[]): T => of[random(of.length)]!;
  for (let n = 0; n < count; n += 1) {
    let path = pick(paths);
    if (random(4) === 0) path = path.replaceAll("7", () => encodeURI(pick(words)));
    if (random(6) === 0) path += `/${random(2) === 0 ? pick(words) : encodeURIComponent(pick(words))}`;
    const query = Array.from({ length: random(4) }, () => `${pick(parameters)}=${encodeURIComponent(pick(values))}`);
    const method = pick(methods);
    const type = pick(types);
    yield {
      method,
      // Events never end; what they send is what /api/status answers.
      path: (query.length > 0 ? `${path}?${query.join("&")}` : path).replaceAll(/[^\x21-\x7e]/gu, (c) =>
        encodeURIComponent(c),
      ),
      headers: {
        ...(type !== "" && { "content-type": type }),
        ...(random(3) === 0 && { accept: pick(["text/html", "application/openmetrics-text", "*/*", "x"]) }),
        ...(random(8) === 0 && {
          cookie: pick(["db_session=x", `db_session=${"a".repeat(43)}`, "=;;=", "db_session=%00"]),
        }),
        ...(random(12) === 0 && { origin: pick(["https://evil.example", "null", "x"]) }),
        ...(random(12) === 0 && { "x-prometheus-scrape-timeout-seconds": pick(["-1", "0", "x", "1e9"]) }),
        ...((authorization) => (authorization === "" ? {} : { authorization }))(pick(credentials)),
      },
      body: method === "POST" || method === "PUT" ? pick(bodies) : "",
    };
  }
}

export interface StrangeRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Sends one as it is: fetch would tidy its path. */
export function send(port: number, { method, path, headers, body }: StrangeRequest): Promise<Answer> {
  const line = `${method} ${path} ${JSON.stringify(headers)} ${body.slice(0, 60)}`;
  return new Promise((resolve, reject) => {
    const sent: ClientRequest = request(
      {
        host: "127.0.0.1",
        port,
        method,
        path,
        headers: { ...headers, ...(body !== "" && { "content-length": Buffer.byteLength(body) }) },
      },
      (response) => {
        const { statusCode: status = 0, headers: told } = response;
        readAll(response).then(
          (text) => resolve({ line, status, body: text, retryAfter: told["retry-after"] }),
          reject,
        );
      },
    );
    sent.on("error", (error: NodeJS.ErrnoException) => {
      // A body that is too long is answered before it is read to its end.
      if (error.code === "EPIPE" || error.code === "ECONNRESET") resolve({ line, status: 413, body: "" });
      else reject(error);
    });
    sent.setTimeout(20_000, () => sent.destroy(new Error(`no answer: ${line}`)));
    sent.end(body);
  });
}
