import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "@db/config";
import { createOrchestrator, renderReportHtml } from "@db/orchestrator";
import type { Benchmark, Figures, Measurement } from "./benchmark.ts";
import { openScrapes, type ScrapeArena } from "./scrape-arena.ts";
import { median, roundFigure } from "./statistics.ts";

/** Everything in one report: a whole collection, findings, backups, migrations, and the page made of it. */
export const reportFull: Benchmark<ScrapeArena, string> = {
  name: "report-full",
  title: "A full report of a server with 1,000 tables and 5,000 statements",
  setup: openScrapes,
  contenders: [
    {
      name: "db_report",
      package: "@db/orchestrator",
      prepare:
        ({ url }) =>
        async () => {
          const folder = await mkdtemp(join(tmpdir(), "bench-report-"));
          try {
            const began = performance.now();
            const { config } = await loadConfig({
              env: { DATABASE_URL: url },
              readFiles: false,
              overrides: { "backup.repository": join(folder, "backups"), "migrate.directory": folder },
            });
            // Made anew each time, as the command line does: connections, first collection and all.
            await using orchestrator = createOrchestrator(config, { readOnly: true });
            const page = renderReportHtml(await orchestrator.reports.make());
            return { operations: 1, answer: page, facts: { report_ms: performance.now() - began, bytes: page.length } };
          } finally {
            await rm(folder, { recursive: true, force: true });
          }
        },
    },
  ],
  check: (_arena, _run, { answer }) =>
    answer.includes("<h2>Largest tables</h2>") && answer.includes("public.t")
      ? undefined
      : "the report lacks its tables",
  figures: (measurements: readonly Measurement[]): Figures => ({
    db_report_ms: roundFigure(median(measurements.map(({ facts }) => facts["report_ms"] ?? 0))),
    db_report_bytes: roundFigure(median(measurements.map(({ facts }) => facts["bytes"] ?? 0))),
  }),
};
