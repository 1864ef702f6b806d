// Run as a process of its own by the benchmark "monitor-scrape": <url> <profile>. Prints its port, serves /metrics.
import { createServer, type ServerResponse } from "node:http";
import { systemClock } from "@db/core";
import { createMonitor, prometheusContentType, writePrometheus } from "@db/monitor";
import { Pool } from "pg";

const [url = "", profile = "default"] = process.argv.slice(2);
// So much time passes between two scrapes: after 15 s only what is cheap is due, after a minute the tables and the
// statements are, and after ten ("all") the sizes. With "clock" only as much as passes.
const steps: Readonly<Record<string, number>> = { clock: 0, default: 15_000, all: 600_000 };
const stepMs = steps[profile] ?? 60_000;
let passed = 0;
const monitor = createMonitor({
  db: new Pool({ connectionString: url, max: 1, application_name: "db-monitor" }),
  clock: { now: () => Date.now() + passed, sleep: (ms, signal) => systemClock.sleep(ms, signal) },
  // The peers have none.
  ...(profile !== "clock" && { rules: [] }),
  statementTimeoutMs: 10_000,
  collectTimeoutMs: 20_000,
  // What the peer gives, and all of it.
  ...(profile === "parity" && {
    detail: "full" as const,
    skip: ["user_table_sizes", "user_indexes", "catalog", "vacuum", "sequences"],
    limits: { tables: Infinity, indexes: Infinity, statements: Infinity },
  }),
});
async function answer(response: ServerResponse): Promise<void> {
  const snapshot = await monitor.collect();
  response.setHeader("content-type", prometheusContentType);
  await writePrometheus(snapshot, response, { end: true });
}

const server = createServer((_request, response) => {
  passed += stepMs;
  answer(response).catch((error: unknown) => response.destroy(error as Error));
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${(server.address() as { port: number }).port}\n`));
