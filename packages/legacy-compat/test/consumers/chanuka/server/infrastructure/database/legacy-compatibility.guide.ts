// The compatibility layer as the consolidation guide has it, over the re-pointed `shared/database/core`.
// @boundaries-ignore a path alias of the platform
export {
  UnifiedConnectionManager as DatabaseConnectionPool,
  createConnectionManager as createConnectionPool,
  getConnectionManager as getConnectionPool,
  closeConnectionManager as closeConnectionPool,
} from "@shared/database/core";

// Deprecation warnings
console.warn("Using legacy database imports. Please migrate to @shared/database/core");
