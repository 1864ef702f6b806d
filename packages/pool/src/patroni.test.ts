import { describe, expect, test } from "vitest";
import { patroni, readCluster } from "./patroni.ts";

// In the shape that cluster_as_json of Patroni 3.0.2 writes (patroni/utils.py): after a failover, a replica being made.
const answer = {
  members: [
    {
      name: "pg1",
      role: "replica",
      state: "stopped",
      api_url: "http://127.0.0.1:8008/patroni",
      host: "127.0.0.1",
      port: 5441,
      tags: { noloadbalance: true },
      lag: "unknown",
    },
    {
      name: "pg2",
      role: "leader",
      state: "running",
      api_url: "http://127.0.0.1:8009/patroni",
      host: "127.0.0.1",
      port: 5442,
      timeline: 2,
    },
    {
      name: "pg3",
      role: "sync_standby",
      state: "running",
      api_url: "http://127.0.0.1:8010/patroni",
      host: "127.0.0.1",
      port: 5443,
      timeline: 2,
      tags: { noloadbalance: true },
      lag: 0,
    },
    {
      name: "pg4",
      role: "replica",
      state: "creating replica",
      api_url: "http://127.0.0.1:8011/patroni",
      lag: "unknown",
    },
  ],
};

describe("readCluster", () => {
  test("keeps the members that run, and where each one answers", () => {
    expect(readCluster(answer)).toEqual({
      members: [
        { host: "127.0.0.1", port: 5442, role: "primary", weight: 1 },
        { host: "127.0.0.1", port: 5443, role: "replica", weight: 0 },
      ],
      apis: ["http://127.0.0.1:8008", "http://127.0.0.1:8009", "http://127.0.0.1:8010", "http://127.0.0.1:8011"],
    });
  });

  test.each([[null], ["ok"], [{}], [{ members: "none" }]])("refuses %j", (body) => {
    expect(() => readCluster(body)).toThrow("its answer lists no members");
  });
});

describe("patroni", () => {
  test("asks one member after another, and first the one that answered last", async () => {
    const asked: string[] = [];
    const fetch = (async (url: URL) => {
      asked.push(url.href);
      if (url.port === "1")
        throw new TypeError("fetch failed", { cause: new Error("connect ECONNREFUSED 127.0.0.1:1") });
      return Response.json(answer);
    }) as unknown as typeof globalThis.fetch;
    const provider = patroni({ urls: ["http://127.0.0.1:1", "http://127.0.0.1:8009/"], fetch });
    const never = new AbortController().signal;
    expect(await provider.members(never)).toHaveLength(2);
    expect(await provider.members(never)).toHaveLength(2);
    expect(asked).toEqual([
      "http://127.0.0.1:1/cluster",
      "http://127.0.0.1:8009/cluster",
      "http://127.0.0.1:8009/cluster",
    ]);
  });

  test("says what each member answered when none told", async () => {
    const urls = ["http://127.0.0.1:1", "http://127.0.0.1:8009"];
    const fetch = (async (url: URL) => {
      if (url.port === "1")
        throw new TypeError("fetch failed", { cause: new Error("connect ECONNREFUSED 127.0.0.1:1") });
      return new Response("", { status: 503 });
    }) as unknown as typeof globalThis.fetch;
    await expect(patroni({ urls, fetch }).members(new AbortController().signal)).rejects.toMatchObject({
      code: "POOL_PROVIDER_FAILED",
      message: expect.stringContaining("127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1; 127.0.0.1:8009: answered 503"),
    });
  });

  test("names every URL that is none", () => {
    expect(() => patroni({ urls: ["localhost", "ftp://h"] })).toThrow(
      'urls[0] is no URL: expected http://host:port; urls[1] has the scheme "ftp", not http or https',
    );
    expect(() => patroni({ urls: [] })).toThrow(expect.objectContaining({ code: "POOL_INVALID_PROVIDER_OPTIONS" }));
  });
});
