// The usage examples of the integration guide, as they stand there.
import { getDatabaseIntegration } from "./server/infrastructure/database";

const [billId, userId] = [1, 7];

// Get database integration service
const dbIntegration = getDatabaseIntegration();

// Execute a query
const result = await dbIntegration.query("SELECT * FROM bills WHERE status = $1", ["active"]);

// Execute a transaction
await dbIntegration.transaction(async (client) => {
  await client.query("INSERT INTO bills (title, status) VALUES ($1, $2)", ["New Bill", "drafted"]);
  await client.query("INSERT INTO bill_engagement (bill_id, user_id) VALUES ($1, $2)", [billId, userId]);
});

// Get comprehensive health status
const healthStatus = await dbIntegration.getHealthStatus();

console.log("Database Health:", healthStatus.overall);
console.log("Recommendations:", healthStatus.recommendations);

// Access individual services
const services = dbIntegration.getServices();

// Run validation
const validationReport = await services.validation.runValidation();

// Analyze indexes
const indexReport = await services.indexOptimizer.analyzeIndexes();

// Create backup
const backupMetadata = await services.backupRecovery.createFullBackup();

afterAll(() => dbIntegration.shutdown());

describe("the integration guide", () => {
  it("reads and writes", async () => {
    expect(result.rows).toMatchObject([{ id: 1, title: "Water", status: "active" }]);
    const { rows } = await dbIntegration.query(
      "SELECT b.title, e.user_id FROM bills b, bill_engagement e ORDER BY b.id",
    );
    expect(rows).toMatchObject([
      { title: "Water", user_id: 7 },
      { title: "New Bill", user_id: 7 },
    ]);
  });

  it("reports on health, data, indexes and the backup", () => {
    expect(["healthy", "warning", "critical"]).toContain(healthStatus.overall);
    expect(healthStatus.recommendations.length).toBeGreaterThan(0);
    expect(validationReport).toMatchObject({ totalRules: 0, passedRules: 0, failedRules: 0, criticalViolations: 0 });
    expect(indexReport.totalIndexes).toBeGreaterThan(0);
    expect(backupMetadata).toMatchObject({ type: "full", status: "completed" });
  });
});
