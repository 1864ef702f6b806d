export { type Account, serverAccount } from "./account.ts";
export {
  type Binaries,
  type BinarySource,
  findBinaries,
  type FindBinariesOptions,
  programPath,
  requireBinaries,
} from "./binaries.ts";
export type {
  CloneOptions,
  Cluster,
  CreateClusterOptions,
  OpenClusterOptions,
  ReplicationState,
  StopMode,
} from "./cluster.ts";
export { copyTree } from "./copy.ts";
export { createCluster, openCluster } from "./create.ts";
export {
  AccountError,
  BinariesInstallError,
  BinariesNotFoundError,
  ClusterError,
  DataVersionMismatchError,
  DirectoryError,
  DirectoryInUseError,
  NoFreePortError,
} from "./errors.ts";
export { type Guard, type GuardOptions, startGuard } from "./guard.ts";
export { defaultCacheDirectory, installableVersions, installBinaries, type InstallBinariesOptions } from "./install.ts";
export { type FindPort, findFreePort } from "./port.ts";
export { findPostmaster, killProcesses } from "./postmaster.ts";
export { childrenOf, identify, isSameProcess, type ProcessIdentity } from "./process-identity.ts";
export { recoverClusters, type RecoveredServer } from "./recover.ts";
export { sharedDirectory } from "./reach.ts";
export { type Settings, throwawaySettings } from "./settings.ts";
export { createSlotSql } from "./standby.ts";
export { startTemporaryCluster, type TemporaryCluster, type TemporaryClusterOptions } from "./temporary.ts";
export type { LocalTopology, LocalTopologyOptions } from "./local-topology.ts";
export { openLocalTopology } from "./topology.ts";
