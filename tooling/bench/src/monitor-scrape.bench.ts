import type { Benchmark, Contender, Figures, Measurement } from "./benchmark.ts";
import { peakMemoryBytes, processorMs, serverProcessorMs } from "./processor-time.ts";
import { openScrapes, type ScrapeArena } from "./scrape-arena.ts";
import { median, roundFigure } from "./statistics.ts";

/** What a scrape costs the server and the process that answers it. */
export const monitorScrape: Benchmark<ScrapeArena, readonly string[]> = {
  name: "monitor-scrape",
  title: "A scrape of a server with 1,000 tables and 5,000 statements",
  setup: openScrapes,
  contenders: ["db_monitor_parity", "db_monitor_minute", "db_monitor_default", "postgres_exporter"].map(contender),
  check: ({ tables }, _run, { answer }) => problemIn(answer, tables),
  figures: costFigures,
};

function contender(name: string): Contender<ScrapeArena, readonly string[]> {
  return {
    name,
    ...(name.startsWith("db_") && { package: "@db/monitor" }),
    prepare:
      ({ exporters, postmaster }, { quick }) =>
      async () => {
        const exporter = exporters.get(name)!;
        // Four times 15 s is a minute: each of its kinds of scrape must be among them as often as it is.
        const operations = (quick ? 3 : 10) * (name === "db_monitor_default" ? 4 : 1);
        const before = [await serverProcessorMs(postmaster), await processorMs(exporter.pid)] as const;
        const took: number[] = [];
        let text = "";
        for (let scrape = 0; scrape < operations; scrape++) {
          const began = performance.now();
          text = await exporter.scrape();
          took.push(performance.now() - began);
        }
        const serverMs = (await serverProcessorMs(postmaster)) - before[0];
        const ownMs = (await processorMs(exporter.pid)) - before[1];
        return {
          operations,
          answer: [name, text],
          facts: {
            scrape_ms: median(took),
            server_cpu_ms: serverMs / operations,
            own_cpu_ms: ownMs / operations,
            series: seriesIn(text).length,
            bytes: text.length,
            peak_memory_bytes: await peakMemoryBytes(exporter.pid),
          },
        };
      },
  };
}

function seriesIn(text: string): readonly string[] {
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

/** Every table and every statement must be there, or, by default, the busiest and the rest as one. */
function problemIn([name = "", text = ""]: readonly string[], tables: number): string | undefined {
  const lines = seriesIn(text);
  const count = (metric: string): number => lines.filter((line) => line.startsWith(`${metric}{`)).length;
  if (!lines.some((line) => /^pg_up(\{.*\})? 1$/.test(line))) return "pg_up is not 1";
  if (name !== "db_monitor_parity" && name.startsWith("db_")) {
    return lines.some((line) => line.startsWith("pg_stat_statements_calls_total{") && line.includes('queryid="other"'))
      ? undefined
      : "the statements beyond the busiest are missing";
  }
  const calls = Math.max(count("pg_stat_statements_calls_total"), count("pg_stat_statements_calls"));
  const scans = count("pg_stat_user_tables_seq_scan");
  if (scans < tables) return `${scans} tables instead of ${tables}`;
  return calls < tables * 5 ? `${calls} statements instead of ${tables * 5}` : undefined;
}

/** Shares of the peer's cost, medians of the shares of each round, and what each one cost. */
function costFigures(measurements: readonly Measurement[]): Figures {
  const figures: Record<string, number> = {};
  const of = (name: string): readonly Measurement[] => measurements.filter(({ contender: each }) => each === name);
  const peers = of("postgres_exporter");
  for (const name of new Set(measurements.map((each) => each.contender))) {
    for (const fact of Object.keys(of(name)[0]?.facts ?? {})) {
      figures[`${name}_${fact}`] = roundFigure(median(of(name).map(({ facts }) => facts[fact] ?? 0)));
    }
  }
  for (const fact of peers.length === 0 ? [] : ["scrape_ms", "server_cpu_ms", "own_cpu_ms"]) {
    const shares = of("db_monitor_parity").map(({ round, facts }) => {
      const peer = peers.find((each) => each.round === round);
      return (facts[fact] ?? 0) / (peer?.facts[fact] ?? Number.NaN);
    });
    figures[`parity_${fact.replace(/_ms$/, "")}_vs_postgres_exporter`] = roundFigure(median(shares));
  }
  return figures;
}
