// The usage examples of the strategic migration guide, as they stand there.
// @boundaries-ignore a path alias of the platform
import { DatabaseService } from "@server/infrastructure/database/database-service";
// @boundaries-ignore a path alias of the platform
import { databaseService } from "@server/infrastructure/database/database-service";
// @boundaries-ignore a path alias of the platform
import type { DatabaseMetrics, HealthCheckResult } from "@server/infrastructure/database/database-service";
// @boundaries-ignore a path alias of the platform
import { AdvancedPoolConfig, MonitoredPool } from "@server/infrastructure/database/pool-config";
// @boundaries-ignore a path alias of the platform
import { getDatabaseOrchestrator, readDb } from "@shared/database";
import { pgTable, serial, text } from "drizzle-orm/pg-core";

const bills = pgTable("bills", { id: serial().primaryKey(), title: text().notNull(), status: text().notNull() });
type Bill = typeof bills.$inferSelect;

// Get orchestrator (handles shared init)
const orchestrator = getDatabaseOrchestrator();

// Wrap with app-level service
const dbService = DatabaseService.getInstance();
dbService.initialize(orchestrator.getConnectionManager().getPool());

export class DrizzleBillRepository {
  private readonly db = readDb;

  async fetchBills(): Promise<Bill[]> {
    const result = await databaseService.executeQuery(() => this.db.select().from(bills), "fetch-bills");

    if (result.success) {
      console.log(`Fetched in ${result.executionTime}ms, ${result.retries} retries`);
      return result.data;
    }

    throw result.error;
  }
}

const fetched = await new DrizzleBillRepository().fetchBills();

// Get current health
const health = await databaseService.healthCheck();
console.log(`Database healthy: ${health.healthy}`);
console.log(`Available connections: ${health.availableConnections}/${health.poolSize}`);

// Get metrics
const metrics = databaseService.getMetrics();
console.log(`Total queries: ${metrics.totalQueries}`);
console.log(`Failed queries: ${metrics.failedQueries}`);
console.log(`Avg response time: ${metrics.avgResponseTime}ms`);
console.log(`Circuit breaker: ${metrics.circuitBreakerState}`);

describe("the strategic migration guide", () => {
  it("fetches, and tells health and metrics in their old shapes", () => {
    expect(fetched).toContainEqual({ id: 1, title: "Water", status: "active" });
    const asTyped: [HealthCheckResult, DatabaseMetrics] = [health, metrics];
    expect(asTyped).toMatchObject([
      { healthy: true },
      { totalQueries: 1, failedQueries: 0, circuitBreakerState: "CLOSED" },
    ]);
    expect(health.availableConnections).toBeLessThanOrEqual(health.poolSize);
    expect(metrics.avgResponseTime).toBeGreaterThan(0);
  });

  it("has a pool for each environment, and one that is monitored", async () => {
    const sizes = [AdvancedPoolConfig.development(), AdvancedPoolConfig.staging(), AdvancedPoolConfig.production()];
    expect(sizes.map(({ min, max, ssl }) => [min, max, ssl !== false])).toEqual([
      [2, 10, false],
      [3, 15, false],
      [5, 50, true],
    ]);
    const monitored = new MonitoredPool(AdvancedPoolConfig.development());
    (await monitored.connectWithRetry()).release();
    expect(monitored.getMetrics()).toMatchObject({ totalAcquired: 1, failedAcquires: 0 });
    await monitored.shutdown();
  });

  it("rolls a transaction back, and shuts down", async () => {
    const failing = databaseService.withTransaction(async (client) => {
      await client.query("DELETE FROM bill_engagement");
      throw new Error("changed my mind");
    });
    await expect(failing).rejects.toThrow("changed my mind");
    await databaseService.shutdown();
    const late = await databaseService.executeQuery(() => Promise.resolve(1), "late");
    expect(late).toMatchObject({ success: false, error: { code: "LEGACY_SHUT_DOWN" } });
  });
});
