// The usage example of the implementation summary, as it stands there.
import { initializeDatabaseManager, getDatabaseManager } from "./lib/database";

// At startup
const dbManager = initializeDatabaseManager({
  connectionLimit: 10,
  poolTimeout: 10,
  enableReadReplica: true,
});

await dbManager.connect();

// During operation
const manager = getDatabaseManager();
const health = await manager.checkHealth();
const metrics = manager.getMetrics();

// At shutdown
await dbManager.disconnect();

describe("the implementation summary", () => {
  it("connects, tells health and metrics, and disconnects", async () => {
    expect(health).toMatchObject({ healthy: true, readReplica: { healthy: true } });
    expect(metrics).toMatchObject({ connectionLimit: 10, failedQueries: 0 });
    expect(await manager.checkHealth()).toMatchObject({ healthy: false });
  });
});
