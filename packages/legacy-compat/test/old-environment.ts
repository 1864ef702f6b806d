import type { TestCluster } from "@db/testkit";

const names = [
  "DATABASE_URL",
  "READ_REPLICA_URLS",
  "DB_READ_REPLICA_URL",
  "DB_CONNECTION_LIMIT",
  "BACKUP_PATH",
  "BACKUP_ENCRYPTION_KEY",
  "BACKUP_COMPRESSION",
  "DB_ALLOW_INSECURE_TLS",
  "NODE_ENV",
  "DB_PROFILE",
] as const;

/** Sets the old variables for this test process, which is all that configures the old names. */
export function useEnvironment(variables: Partial<Record<(typeof names)[number], string>>): void {
  for (const name of names) delete process.env[name];
  Object.assign(process.env, variables);
}

/** The old variables for a cluster with one replica. */
export function environmentOf(cluster: TestCluster<1>): { DATABASE_URL: string; READ_REPLICA_URLS: string } {
  return { DATABASE_URL: cluster.primary.url, READ_REPLICA_URLS: cluster.replicas[0].url };
}
