// Run as a process of its own by the benchmark "monitor-scrape": <url> <profile>. Prints its port, serves /metrics.
import { createServer } from "node:http";
import { systemClock } from "@db/core";
import { createMonitor, prometheusContentType, renderPrometheus } from "@db/monitor";
import { Pool } from "pg";

const [url = "", profile = "default"] = process.argv.slice(2);
const everything = profile === "parity";
// A minute passes between two scrapes, so that each reads what is due every minute, and each tenth the sizes.
let passed = 0;
const clock = everything
  ? systemClock
  : { now: () => Date.now() + passed, sleep: (ms: number) => systemClock.sleep(ms) };
const monitor = createMonitor({
  db: new Pool({ connectionString: url, max: 1 }),
  clock,
  rules: [],
  statementTimeoutMs: 10_000,
  collectTimeoutMs: 20_000,
  ...(everything && { limits: { tables: 1e6, indexes: 1e6, statements: 1e6 } }),
});
const server = createServer((_request, response) => {
  passed += 60_000;
  monitor.collect({ force: everything }).then(
    (snapshot) => response.writeHead(200, { "content-type": prometheusContentType }).end(renderPrometheus(snapshot)),
    (error: unknown) => response.writeHead(500).end(String(error)),
  );
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${(server.address() as { port: number }).port}\n`));
