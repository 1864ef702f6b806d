// The usage instructions of the migration guide, as they stand there.
// @boundaries-ignore a path alias of the platform
import { initializeDatabaseSystem } from "@/src/lib/database";
// @boundaries-ignore a path alias of the platform
import { databaseHealthMonitor } from "@/src/lib/database/health-monitor";
// @boundaries-ignore a path alias of the platform
import { createFullBackup } from "@/src/lib/database/backup-recovery";

// Initialize database connection and run health checks
await initializeDatabaseSystem();

// Perform comprehensive health check
const health = await databaseHealthMonitor.performHealthCheck();
console.log(`Database status: ${health.status}`);

// Create database backup
const backup = await createFullBackup({
  compression: true,
  encryption: true,
});

describe("the migration guide", () => {
  it("has a healthy database and an encrypted, compressed backup", () => {
    expect(["healthy", "degraded"]).toContain(health.status);
    expect(backup).toMatchObject({ type: "full", compressed: true, encrypted: true, status: "completed" });
  });
});
