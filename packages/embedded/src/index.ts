export { type Account, serverAccount } from "./account.ts";
export {
  type Binaries,
  type BinarySource,
  findBinaries,
  type FindBinariesOptions,
  programPath,
  requireBinaries,
} from "./binaries.ts";
export {
  type CloneOptions,
  type Cluster,
  createCluster,
  createSlotSql,
  type CreateClusterOptions,
  openCluster,
  type OpenClusterOptions,
  type StopMode,
} from "./cluster.ts";
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
export { copyTree } from "./copy.ts";
export { writeServerFile } from "./data-directory.ts";
export { type Guard, type GuardOptions, startGuard } from "./guard.ts";
export { type FindPort, findFreePort } from "./port.ts";
export { findPostmaster, killProcesses as killServer } from "./postmaster.ts";
export { childrenOf, identify, isSameProcess, type ProcessIdentity } from "./process-identity.ts";
export { sharedDirectory } from "./reach.ts";
export { type Settings, throwawaySettings } from "./settings.ts";
