export {
  type Servers,
  startCluster,
  type StartClusterOptions,
  type TestCluster,
  type TestDatabase,
} from "./cluster.ts";
export type { TestServer } from "./server.ts";
