// A process of its own that opens a topology, for tests that kill it. Writes one JSON line per event to stdout.
import { isDbError } from "@db/core";
import { type LocalTopologyOptions, openLocalTopology } from "@db/embedded";

const options = JSON.parse(process.argv[2] ?? "{}") as LocalTopologyOptions;
const started = performance.now();
const say = (event: Readonly<Record<string, unknown>>): void => {
  process.stdout.write(`${JSON.stringify({ ...event, atMs: Math.round(performance.now() - started) })}\n`);
};

try {
  const topology = await openLocalTopology({
    ...options,
    env: process.env,
    onProgress: ({ message }) => say({ event: "progress", message }),
  });
  const { primary, replicas, created, recovered, rebuilt, warnings } = topology;
  say({ event: "open", url: primary.url, replicas: replicas.map((r) => r.url), created, recovered, rebuilt, warnings });
  await new Promise<void>((resolve) => process.stdin.once("end", resolve).resume());
  await topology.close();
  say({ event: "closed" });
} catch (error) {
  say({ event: "failed", code: isDbError(error) ? error.code : "bug", message: String(error) });
  process.exitCode = 1;
}
