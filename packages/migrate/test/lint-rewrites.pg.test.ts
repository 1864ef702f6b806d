import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { columnCases } from "./lint-column-cases.ts";
import { indexCases } from "./lint-index-cases.ts";
import { otherCases } from "./lint-other-cases.ts";
import { rewriteCases } from "./lint-rewrite-cases.ts";
import { proveRewrite, startRewriteServer } from "./lint-rewrites.ts";
import { findingsOn, type LintServer } from "./lint-server.ts";

let server: LintServer;
beforeAll(async () => {
  server = await startRewriteServer(18);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

describe("safe rewrites", () => {
  test("every rule that suggests SQL for its case is tried below", async () => {
    const suggesting = new Set<string>();
    for (const { rule, fires, serverVersion = 180_000 } of [...columnCases, ...indexCases, ...otherCases]) {
      const findings = await findingsOn([fires], { ...server.catalog, serverVersion });
      if (findings.some((finding) => finding.rule === rule && finding.safer !== null)) suggesting.add(rule);
    }
    // The query that looks for duplicates changes nothing.
    suggesting.delete("unique-may-fail");
    expect([...suggesting].filter((rule) => !rewriteCases.some((one) => one.rule === rule))).toEqual([]);
  });

  for (const one of rewriteCases) {
    test(`${one.rule}: ${one.original.split("\n")[0]} is rewritten to what ends in the same schema`, async () => {
      await proveRewrite(server, one);
      expect.hasAssertions();
    });
  }

  test("where no rewrite can reach the same end, none is suggested", async () => {
    const impossible = [
      "drop index t_i cascade",
      "reindex system postgres",
      "create index on part (id)",
      "alter table part add constraint c unique (id, at)",
      "refresh materialized view bare",
    ];
    for (const sql of impossible) {
      const findings = await findingsOn([sql], server.catalog);
      expect(
        findings.filter(({ rule, safer }) => safer !== null && rule !== "unique-may-fail"),
        sql,
      ).toEqual([]);
    }
  });
});
