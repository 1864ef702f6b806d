// A process of its own that holds a cluster with a frozen primary, for the test that kills it.
import { startCluster } from "@db/testkit";

const cluster = await startCluster({ replicas: 1 });
await cluster.primary.freeze();
const pids = [cluster.primary.pid, cluster.replicas[0].pid];
process.stdout.write(`${JSON.stringify({ pids, dataDirectory: cluster.primary.dataDirectory })}\n`);
process.stdin.resume();
