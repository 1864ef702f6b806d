import type { HeadView, PageView } from "./page-view.ts";
import { sampleView } from "./sample-view.ts";

/** What stands above the pages of the sample. */
export const sampleHead: HeadView = {
  page: "status",
  range: "1h",
  title: sampleView.title,
  environment: sampleView.environment,
  readOnly: false,
  status: "warn",
  critical: 1,
  warnings: 1,
  blocked: 1,
  asOf: sampleView.asOf,
  ageSeconds: 4,
  signedInAs: null,
};

/** The first page of a busy database. */
export const samplePage: PageView = { head: sampleHead, status: sampleView, parts: [] };

/** A page with every kind of part and value. */
export const samplePartsPage: PageView = {
  head: { ...sampleHead, page: "locks", range: "15min" },
  parts: [
    {
      id: "everything",
      title: "Everything",
      note: "one of each",
      wide: true,
      lead: { tone: "warn", word: "Never restored", text: "A backup that was never restored is a hope." },
      empty: { text: "There is nothing here. Make the first one:", command: "db migrate new first" },
      statement: "select <b>not markup</b> from users where email = $1",
      facts: [
        { label: "used", value: 0.97, kind: "share", tone: "bad" },
        { label: "checked", value: "2026-11-21T10:10:40.000Z", kind: "time" },
        { label: "unknown", value: null, kind: "bytes" },
      ],
      nodes: [
        {
          name: "primary",
          role: "primary",
          tone: "good",
          word: "accepts writes",
          facts: [{ label: "feeds", value: 1, kind: "count" }],
        },
        {
          name: "replica-1",
          role: "standby",
          tone: "bad",
          word: "cut off",
          facts: [{ label: "behind", value: 4_096, kind: "bytes" }],
        },
      ],
      tree: [
        {
          pid: 4711,
          who: "app, nightly-import",
          state: "idle in transaction",
          awaits: null,
          waitSeconds: null,
          transactionSeconds: 93,
          query: "lock table payments in access exclusive mode",
          actions: [
            {
              label: "Cancel",
              about: "Cancel session 4711",
              path: "api/admin/sessions/4711/cancel",
              args: { backendStart: "2026-11-21T10:00:00.000001Z" },
            },
          ],
          blocks: [
            {
              pid: 4712,
              who: "app, checkout",
              state: "active",
              awaits: "AccessShareLock on payments",
              waitSeconds: 42,
              transactionSeconds: 42,
              query: "select count(*) from payments",
              actions: [],
              blocks: [],
            },
          ],
        },
      ],
      calendar: {
        days: Array.from({ length: 35 }, (_, i) => ({
          date: `2026-10-${String(1 + (i % 31)).padStart(2, "0")}`,
          backups: i % 3,
          verified: i % 6 === 1,
        })),
      },
      charts: [
        {
          ...sampleView.connections!.chart!,
          stacked: true,
          markers: [{ at: "2026-11-21T10:09:00.000Z", label: "migration 20260301 add_search" }],
        },
      ],
      table: {
        caption: "One of each kind",
        columns: [
          { key: "share", label: "Share", kind: "share" },
          { key: "state", label: "State", kind: "badge" },
          { key: "course", label: "Course", kind: "spark" },
          { key: "node", label: "Node", kind: "node" },
          { key: "query", label: "Statement", kind: "code" },
        ],
        sortedBy: { key: "share", descending: true },
        rows: [
          {
            key: "a",
            href: "queries/1",
            cells: { share: 0.2, state: "good:streaming", course: [1, null, 3, 4], node: "0:Sort", query: "select 1" },
          },
          {
            key: "b",
            href: "queries/2",
            cells: { share: 0.7, state: "bad:failed", course: [4, 3, 1], node: "1:Seq Scan", query: "select 2" },
          },
          {
            key: "c",
            cells: {
              share: null,
              state: "info:pending",
              course: [],
              node: "2:Index Scan",
              query: `select ${"x, ".repeat(80)}`,
            },
          },
        ],
      },
      command: "db inspect blocking",
    },
  ],
};
