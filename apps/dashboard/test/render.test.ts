import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { assetsDirectory, renderPage, type StatusView } from "../src/index.ts";
import { niceCeiling } from "../src/chart.tsx";
import { sampleView } from "../src/sample-view.ts";

const empty: StatusView = {
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
};

describe("dashboard page", () => {
  test("says the verdict, each finding and its command without any script", () => {
    const html = renderPage(sampleView);
    const page = html.slice(html.indexOf('id="page"'), html.indexOf('<script type="application/json"'));
    expect(page).toContain("Working, with 2 things to look at");
    expect(page).toContain("table public.engagement_archive has no primary key");
    expect(page).toContain("db inspect blocking");
  });

  test("holds no inline script, style or handler, so a strict content policy lets it run", () => {
    const html = renderPage(sampleView);
    expect(html).not.toMatch(/\sstyle=|\son[a-z]+=|<style/);
    expect([...html.matchAll(/<script(?![^>]*src=)[^>]*>/g)].map(([tag]) => tag)).toEqual([
      '<script type="application/json" id="view">',
    ]);
  });

  test("escapes what came from the database", () => {
    expect(renderPage(sampleView)).not.toContain("<b>not markup</b>");
    expect(renderPage({ ...sampleView, title: "</script><script>alert(1)</script>" })).not.toContain("<script>alert");
  });

  test("is complete when nothing could be collected", () => {
    const html = renderPage(empty);
    expect(html).toContain("not reachable");
    expect(html).toContain("There is no backup in the repository.");
  });

  test("gives every chart a summary and a table", () => {
    const html = renderPage(sampleView);
    expect(html.match(/<figure/g)).toHaveLength(2);
    expect(html.match(/<figure[^>]*aria-label="[^"]+now/g)).toHaveLength(2);
    expect(html.match(/Show as table/g)).toHaveLength(2);
  });

  test("stays under 80 kB compressed, page included", () => {
    const files = readdirSync(assetsDirectory).filter((name) => /\.(js|css)$/.test(name));
    const bytes = files.reduce((sum, name) => sum + gzipSync(readFileSync(join(assetsDirectory, name))).length, 0);
    expect(bytes + gzipSync(renderPage(sampleView)).length).toBeLessThan(80_000);
  });

  test.each([
    [0, 1],
    [0.07, 0.075],
    [3, 3],
    [97, 100],
    [1_200, 1_500],
  ])("rounds an axis of %d up to %d", (value, ceiling) => expect(niceCeiling(value)).toBeCloseTo(ceiling));
});
