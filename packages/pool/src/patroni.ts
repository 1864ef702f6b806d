import { messageOf } from "@db/core";
import { InvalidProviderOptionsError, ProviderError } from "./errors.ts";
import type { TopologyMember, TopologyProvider } from "./topology-provider.ts";

/** How Patroni is asked. */
export interface PatroniOptions {
  /** REST API of one or more members, `http://10.0.0.1:8008`. Others are learned from their answers. */
  readonly urls: readonly string[];
  /** Pause between two questions. Default 1 000. */
  readonly intervalMs?: number;
  /** Longest wait for one member's answer before the next is asked. Default 1 000. */
  readonly timeoutMs?: number;
  /** Sent with each question, for an API behind authentication. */
  readonly headers?: Readonly<Record<string, string>>;
  /** For an API with certificates of its own. Default: the platform's. */
  readonly fetch?: typeof globalThis.fetch;
}

/**
 * Learns the servers from Patroni: `GET /cluster` of whichever member answers. Members that are no longer running leave,
 * new ones join, `noloadbalance` keeps reads away. When no member answers, or their store is away, the pool goes on
 * with the servers it knows and its own probes.
 * @throws {InvalidProviderOptionsError} for URLs that are none
 * @see https://patroni.readthedocs.io/en/latest/rest_api.html#cluster-status-endpoints
 */
export function patroni(options: PatroniOptions): TopologyProvider {
  const { intervalMs = 1_000, timeoutMs = 1_000, headers = {}, fetch = globalThis.fetch } = options;
  const configured = readUrls(options.urls);
  let known = configured;
  return {
    name: "patroni",
    intervalMs,
    members: async (signal) => {
      const failures: string[] = [];
      for (const url of new Set([...known, ...configured])) {
        signal.throwIfAborted();
        try {
          const answer = await fetch(new URL("/cluster", url), {
            headers: { ...headers },
            signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
          });
          if (!answer.ok) throw new Error(`answered ${answer.status}`);
          const { members, apis } = readCluster(await answer.json());
          // The one that answered is asked first the next time.
          known = [url, ...apis];
          return members;
        } catch (error) {
          failures.push(`${new URL(url).host}: ${reasonOf(error)}`);
        }
      }
      throw new ProviderError("patroni", failures);
    },
  };
}

/** Reads the body of `GET /cluster`. @throws when it is something else */
export function readCluster(body: unknown): { members: TopologyMember[]; apis: string[] } {
  const list = (body as { members?: unknown } | null)?.members;
  if (!Array.isArray(list)) throw new Error("its answer lists no members");
  const members: TopologyMember[] = [];
  const apis: string[] = [];
  for (const each of list as Partial<PatroniMember>[]) {
    if (typeof each.api_url === "string" && URL.canParse(each.api_url)) apis.push(new URL(each.api_url).origin);
    // A member that is starting or gone has no address yet, or none any more.
    if (typeof each.host !== "string") continue;
    const leads = each.role === "leader" || each.role === "master" || each.role === "primary";
    if (!leads && each.state !== "running" && each.state !== "streaming") continue;
    members.push({
      host: each.host,
      port: typeof each.port === "number" ? each.port : 5432,
      role: leads ? "primary" : "replica",
      weight: each.tags?.["noloadbalance"] === true ? 0 : 1,
    });
  }
  return { members, apis };
}

/** What Patroni 1.6 to 4 say of a member, as far as it matters here. */
interface PatroniMember {
  readonly role: string;
  readonly state: string;
  readonly host: string;
  readonly port: number;
  readonly api_url: string;
  readonly tags: Readonly<Record<string, unknown>>;
}

function readUrls(urls: readonly string[]): string[] {
  const problems: string[] = [];
  if (urls.length === 0) problems.push("urls is empty");
  const read = urls.map((text, index) => {
    const url = URL.parse(text);
    if (url === null) problems.push(`urls[${index}] is no URL: expected http://host:port`);
    else if (!/^https?:$/.test(url.protocol)) {
      problems.push(`urls[${index}] has the scheme "${url.protocol.slice(0, -1)}", not http or https`);
    }
    return url?.origin ?? "";
  });
  if (problems.length > 0) throw new InvalidProviderOptionsError("patroni", problems);
  return read;
}

function reasonOf(error: unknown): string {
  // The platform's fetch says "fetch failed" and keeps the reason in its cause.
  return messageOf(error instanceof Error && error.cause !== undefined ? error.cause : error);
}
