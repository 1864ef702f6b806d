import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { byteTicks, latest, niceCeiling } from "../src/chart.tsx";
import { formatAxis, formatShare, formatValue } from "../src/format.ts";
import { assetsDirectory, type PageView, pages, renderPage, renderSignIn } from "../src/index.ts";
import { sampleHead, samplePage, samplePartsPage } from "../src/sample-page.ts";
import { sampleView } from "../src/sample-view.ts";
import type { Chart } from "../src/view.ts";
import { stackedPoints } from "../src/stack.ts";

const gone: PageView = {
  head: { ...sampleHead, status: "fail" },
  parts: [],
  status: {
    ...sampleView,
    status: "fail",
    server: null,
    findings: [],
    connections: null,
    activity: null,
    topQueries: null,
    replication: null,
    backups: null,
    migrations: null,
    quality: null,
    indexes: null,
    steps: [],
  },
};

const bodyOf = (html: string): string =>
  html.slice(html.indexOf('id="page"'), html.indexOf('<script type="application/json"'));

describe("status page", () => {
  test("says the verdict, each finding and its command without any script", () => {
    const page = bodyOf(renderPage(samplePage));
    expect(page).toContain("Working, with 2 things to look at");
    expect(page).toContain("table public.engagement_archive has no primary key");
    expect(page).toContain("db inspect blocking");
  });

  test("is complete when nothing could be collected", () => {
    const html = renderPage(gone);
    expect(html).toContain("not reachable");
    expect(html).toContain("There is no backup in the repository.");
  });

  test("leads to every other page", () => {
    const html = renderPage(samplePage);
    const links = [...html.matchAll(/<a href="([^"]+)"/g)].map(([, href]) => href);
    expect(links).toEqual(expect.arrayContaining(pages.map(({ path }) => (path === "" ? "./" : path))));
  });
});

describe("any page", () => {
  test("holds no inline script, style or handler, so a strict content policy lets it run", () => {
    for (const view of [samplePage, samplePartsPage]) {
      const html = renderPage(view);
      expect(html).not.toMatch(/\sstyle=|\son[a-z]+=|<style/);
      expect([...html.matchAll(/<script(?![^>]*src=)[^>]*>/g)].map(([tag]) => tag)).toEqual([
        '<script type="application/json" id="view">',
      ]);
    }
    expect(renderSignIn({ status: "warn", refused: true })).not.toMatch(/<script|\sstyle=/);
  });

  test("escapes what came from the database", () => {
    expect(renderPage(samplePage)).not.toContain("<b>not markup</b>");
    expect(renderPage(samplePartsPage)).not.toContain("<b>not markup</b>");
    const title = "</script><script>alert(1)</script>";
    expect(renderPage({ ...samplePage, head: { ...sampleHead, title } })).not.toContain("<script>alert");
  });

  test("gives every chart a summary, its marks as text, and a table", () => {
    const html = renderPage(samplePage);
    expect(html.match(/<figure/g)).toHaveLength(2);
    expect(html.match(/<figure[^>]*aria-label="[^"]+now/g)).toHaveLength(2);
    expect(html.match(/Show as table/g)).toHaveLength(2);
    expect(bodyOf(renderPage(samplePartsPage))).toContain("migration 20260301 add_search");
  });

  test("draws every kind of part and value", () => {
    const page = bodyOf(renderPage(samplePartsPage));
    for (const text of [
      "holds up 1",
      "waits 42.0 s",
      "AccessShareLock on payments",
      "cut off",
      "db migrate new first",
      "Never restored",
      "97 %",
    ])
      expect(page).toContain(text);
    expect(page).toContain('aria-label="Cancel session 4711"');
    expect(page).toContain('aria-sort="descending"');
    // Sorted as it says, and what is not known stands last.
    expect([...page.matchAll(/select (\d)<|select x/g)].map(([match]) => match.slice(0, 8))).toEqual([
      "select 2",
      "select 1",
      "select x",
      "select x",
    ]);
  });

  test("finds its files and its neighbours from a statement's own page too", () => {
    const html = renderPage({ ...samplePartsPage, head: { ...sampleHead, page: "queries", item: "77" } });
    expect(html).toContain('src="../assets/');
    expect(html).toContain('href="../locks"');
  });
});

describe("what was deployed meanwhile", () => {
  const at = (count: number): string => {
    const markers = Array.from({ length: count }, (_, i) => ({ at: sampleHead.asOf, label: `migration ${i}` }));
    const chart = { title: "T", unit: "u", from: sampleHead.asOf, to: sampleHead.asOf, series: [], markers };
    return bodyOf(renderPage({ head: sampleHead, parts: [{ id: "p", title: "P", charts: [chart] }] }));
  };

  test("stands under a chart, and opens where it is much", () => {
    expect(at(3)).toContain("migration 2");
    expect(at(3)).not.toContain("deployed meanwhile");
    expect(at(4)).toContain("4 deployed meanwhile");
    expect(at(4)).toContain("migration 3");
  });
});

describe("what a browser loads", () => {
  test("stays under 80 kB compressed, the largest page included", () => {
    const files = readdirSync(assetsDirectory).filter((name) => /\.(js|css)$/.test(name));
    const bytes = files.reduce((sum, name) => sum + gzipSync(readFileSync(join(assetsDirectory, name))).length, 0);
    const page = Math.max(...[samplePage, samplePartsPage].map((view) => gzipSync(renderPage(view)).length));
    expect(bytes + page).toBeLessThan(80_000);
  });
});

describe("numbers", () => {
  test.each([
    [0, 1],
    [0.07, 0.075],
    [3, 3],
    [97, 100],
    [1_200, 1_500],
  ])("an axis of %d goes up to %d", (value, ceiling) => expect(niceCeiling(value)).toBeCloseTo(ceiling));

  test("axes of bytes and ratios end where people expect it", () => {
    expect(niceCeiling(900 * 1_024, "bytes")).toBe(1_000 * 1_024);
    expect(formatAxis(niceCeiling(3 * 1_024 ** 2, "bytes"), "bytes")).toBe("3 MB");
    expect(byteTicks(niceCeiling(1_000_000, "bytes")).map((tick) => formatAxis(tick, "bytes"))).toEqual([
      "0",
      "250 kB",
      "500 kB",
      "750 kB",
      "1000 kB",
    ]);
    expect(byteTicks(niceCeiling(1.4 * 1_024 ** 2, "bytes")).map((tick) => formatAxis(tick, "bytes"))).toEqual([
      "0",
      "512 kB",
      "1 MB",
      "1.5 MB",
    ]);
    expect(niceCeiling(0.93, "ratio")).toBe(1);
    expect(formatAxis(1_500_000, "count")).toBe("1.5M");
  });

  test("a ratio is never rounded up to all of it", () => {
    expect(formatShare(0.99999)).toBe("99.99 %");
    expect(formatShare(1)).toBe("100 %");
    expect(formatShare(0)).toBe("0 %");
    expect(formatValue(null, "bytes", "")).toBe("–");
  });

  test("lines on top of each other add up, and a gap adds nothing", () => {
    const series = [
      { label: "a", points: [1, null, 3] },
      { label: "b", points: [1, 2, null] },
    ];
    expect(stackedPoints(series)).toEqual([
      [1, null, 3],
      [2, 2, 3],
    ]);
  });
});

describe("what a line is now", () => {
  const idle = { label: "idle", points: [4, 5, 6, 6] };
  const starting = { label: "starting", points: [1, 7, null, null] };
  const late = { label: "late", points: [3, 3, 3, null] };
  const none = { label: "none", points: [null, null, null, null] };
  const chart = (stacked: boolean): Chart => ({
    title: "Sessions by state",
    unit: "sessions",
    from: "2026-11-26T10:00:00Z",
    to: "2026-11-26T10:00:40Z",
    stacked,
    series: [idle, starting, late, none],
  });

  test.each([
    [idle, "6", "6"],
    [starting, "0", "–"],
    [late, "0", "3"],
    [none, "unknown", "unknown"],
  ])("%j: of a whole %s, by itself %s", (series, ofWhole, alone) => {
    expect(latest(series, chart(true))).toBe(ofWhole);
    expect(latest(series, chart(false))).toBe(alone);
  });
});
