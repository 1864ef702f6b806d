import {
  blockingTree,
  type BlockingFact,
  buildReport,
  renderReportHtml,
  renderReportText,
  topQueries,
} from "@db/monitor";
import { describe, expect, test } from "vitest";
import { snapshotOf } from "./snapshot-of.ts";

const statement = {
  queryId: "1",
  user: "app",
  database: "app",
  calls: 10,
  totalSeconds: 2,
  rows: 30,
  sharedBlocksHit: 90,
  sharedBlocksRead: 10,
  tempBlocksWritten: 0,
  own: false,
  text: "select <script>",
};
const statements = (top: readonly (typeof statement)[]): { statements: { state: "ready"; top: typeof top } } => ({
  statements: { state: "ready", top },
});
const session = {
  database: "app",
  user: "app",
  application: "",
  state: "active",
  backendType: "client backend",
  wait: "",
  transactionSeconds: 1,
  querySeconds: 1,
  stateSeconds: 1,
  backendStart: "2026-01-01T00:00:00Z",
  query: "",
  waitSeconds: null,
};

describe("topQueries", () => {
  test("counts only what happened since an earlier snapshot", () => {
    const before = snapshotOf({ primary: {} }, statements([statement]));
    const now = snapshotOf({ primary: {} }, statements([{ ...statement, calls: 14, totalSeconds: 4 }]));
    expect(topQueries(now, { since: before })[0]).toMatchObject({ calls: 4, totalSeconds: 2, meanMs: 500, share: 1 });
  });

  test("counts all there is after the counters were reset", () => {
    const before = snapshotOf({ primary: {} }, statements([statement]));
    const now = snapshotOf({ primary: {} }, statements([{ ...statement, calls: 3, totalSeconds: 1 }]));
    expect(topQueries(now, { since: before })[0]).toMatchObject({ calls: 3, totalSeconds: 1 });
  });

  test("shows what the monitor asked as one line, and the rest last", () => {
    const own = { ...statement, own: true, totalSeconds: 1 };
    const all = [own, { ...own, queryId: "2" }, { ...statement, queryId: "other" }, { ...statement, queryId: "3" }];
    const queries = topQueries(snapshotOf({ primary: {} }, statements(all)));
    expect(queries.map(({ queryId, totalSeconds }) => [queryId, totalSeconds])).toEqual([
      ["3", 2],
      ["monitor", 2],
      ["other", 2],
    ]);
  });
});

test("a blocking tree has those who wait for nobody at its roots, and survives a circle", () => {
  const blocking: BlockingFact[] = [
    { ...session, pid: 1, blockedBy: [] },
    { ...session, pid: 2, blockedBy: [1] },
    { ...session, pid: 3, blockedBy: [2] },
    { ...session, pid: 4, blockedBy: [5] },
    { ...session, pid: 5, blockedBy: [4, 1] },
  ];
  const shape = (nodes: ReturnType<typeof blockingTree>): unknown =>
    nodes.map((node) => (node.blocks.length > 0 ? [node.session.pid, shape(node.blocks)] : node.session.pid));
  expect(shape(blockingTree(blocking))).toEqual([
    [
      1,
      [
        [2, [3]],
        [5, [4]],
      ],
    ],
  ]);
});

describe("a report", () => {
  const report = buildReport({
    snapshot: snapshotOf({ primary: {} }, statements([statement])),
    findings: [
      { id: "B", severity: "info", title: "a remark" },
      { id: "A", severity: "critical", title: "it <burns>", hint: "Put it out & away.", command: "select 'x';" },
    ],
  });

  test("is plain data with the worst finding first", () => {
    expect(structuredClone(JSON.parse(JSON.stringify(report)))).toEqual(report);
    expect(report.findings.map(({ id }) => id)).toEqual(["A", "B"]);
    expect(report.verdict).toBe("fail");
  });

  test("as a page escapes everything and asks for nothing from elsewhere", () => {
    const html = renderReportHtml(report);
    expect(html).toContain("it &lt;burns&gt;");
    expect(html).toContain("select &lt;script&gt;");
    expect(html).not.toMatch(/<script|https?:\/\/|<link|<img|@import/);
  });

  test("as text fits the width asked for", () => {
    const lines = renderReportText(report, { width: 80 }).split("\n");
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(lines).toContain("  > select 'x';");
  });
});
