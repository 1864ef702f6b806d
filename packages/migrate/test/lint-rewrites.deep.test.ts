import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rewriteCases } from "./lint-rewrite-cases.ts";
import { proveRewrite, startRewriteServer } from "./lint-rewrites.ts";
import type { LintServer } from "./lint-server.ts";

describe.each([12, 13, 14, 15, 16, 17])("safe rewrites on PostgreSQL %i", (version) => {
  let server: LintServer;
  beforeAll(async () => {
    server = await startRewriteServer(version);
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  for (const one of rewriteCases.filter(({ since = 12 }) => version >= since)) {
    test(`${one.rule}: ${one.original.split("\n")[0]} is rewritten to what ends in the same schema`, async () => {
      await proveRewrite(server, one);
      expect.hasAssertions();
    });
  }
});
