// Run as a process of its own by the benchmark "health-endpoint": <url> <requests a second> <seconds> [token].
// Sends at fixed moments whether answers come or not, and counts from the moment that was meant. Prints JSON.
import { Agent, get } from "node:http";
import { percentile } from "./statistics.ts";

const [url = "", perSecond = "1000", seconds = "10", token] = process.argv.slice(2);
const wanted = Number(perSecond) * Number(seconds);
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
const took = new Float64Array(wanted);
let [sent, answered, errors] = [0, 0, 0];

// Connections are opened and code is compiled before the clock starts: the figure is of a server that runs.
for (let round = 0; round < 40; round++) await Promise.all(Array.from({ length: 32 }, warm));
const began = performance.now();

function warm(): Promise<void> {
  return new Promise((resolve, reject) => {
    get(url, { agent, headers }, (response) => response.resume().on("end", resolve)).on("error", reject);
  });
}

function send(meantAt: number): void {
  const done = (well: boolean): void => {
    took[answered] = performance.now() - meantAt;
    answered += 1;
    if (!well) errors += 1;
    if (answered === wanted) finish();
  };
  get(url, { agent, headers }, (response) => {
    response.resume();
    response.on("end", () => done(response.statusCode === 200));
  }).on("error", () => done(false));
}

function tick(): void {
  const due = Math.min(wanted, ((performance.now() - began) * Number(perSecond)) / 1_000);
  for (; sent < due; sent += 1) send(began + (sent * 1_000) / Number(perSecond));
  if (sent < wanted) setTimeout(tick, 1);
}

function finish(): void {
  const all = took.toSorted();
  const at = (share: number): number => percentile(all, share);
  const result = { answered, errors, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: all.at(-1) };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  agent.destroy();
}

tick();
