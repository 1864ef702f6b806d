export {
  type BackupConfig,
  type CircuitBreakerConfig,
  type Config,
  type ConfigFile,
  type ConnectionConfig,
  type ConnectionFile,
  defineConfig,
  type FeatureFlags,
  type IndexerConfig,
  type MigrateConfig,
  type MonitorConfig,
  type NotifyConfig,
  type PoolConfig,
  type RemoteStorageConfig,
  type RetentionConfig,
  type RetryConfig,
  type ServerConfig,
  type TargetSessionAttributes,
  type Threshold,
  type ValidateConfig,
} from "./config.ts";
export { ConfigError, type Problem, UnknownSettingError } from "./errors.ts";
export { type BeatenValue, type Explanation, formatExplanation } from "./explain.ts";
export type { FileContent, ReadFile } from "./file-content.ts";
export { configJsonSchema } from "./json-schema.ts";
export type { DotenvFile, Variables } from "./layer.ts";
export { libpqEnvironment } from "./libpq-environment.ts";
export { loadConfig, type LoadOptions } from "./load.ts";
export { type ConfigSources, type Explain, type LoadedConfig, parseConfig } from "./parse.ts";
export { type Profile, profiles } from "./profile.ts";
export { redactError, redactText } from "./redaction.ts";
export { Secret } from "./secret.ts";
export { settingsTable } from "./settings-table.ts";
export { describeSource, type Level, levels, type Source } from "./source.ts";
export { type TlsConfig, type TlsMode, type TlsOptions, toTlsOptions } from "./tls.ts";
