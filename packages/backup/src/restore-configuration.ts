import { recoveryTargetSettings, renderSettings } from "./recovery-target.ts";
import type { ServerConfiguration, ServerSetting } from "./replication/server.ts";

/** The configuration files a restored directory lacks because the server keeps them elsewhere (Debian). */
export function missingConfiguration(
  configuration: ServerConfiguration,
  paths: ReadonlySet<string>,
): readonly (readonly [name: string, text: string])[] {
  const defaults: readonly (readonly [string, string])[] = [
    ["postgresql.conf", "# The cluster's own configuration lay outside its data directory.\n"],
    ["pg_hba.conf", configuration.files["hba_file"] ?? "local all all peer\nhost all all 127.0.0.1/32 scram-sha-256\n"],
    ["pg_ident.conf", configuration.files["ident_file"] ?? ""],
  ];
  return defaults.filter(([name]) => !paths.has(name));
}

/**
 * The backup's `postgresql.auto.conf` with what leads this recovery at its end.
 * @param main the restored `postgresql.conf`
 */
export function recoveryConfiguration(
  text: string,
  main: string,
  configuration: ServerConfiguration,
  settings: Readonly<Record<string, string>>,
): string {
  const all = { ...recoveryMinima(configuration, [main, text]), ...settings };
  return `${silenceOldTargets(text)}\n# Written by the restore.\n${renderSettings(all)}`;
}

/** Comments out what an earlier recovery left, so that only this restore's target counts. */
function silenceOldTargets(text: string): string {
  const names = new Set([...recoveryTargetSettings, "restore_command"]);
  return text
    .split("\n")
    .map((line) => (names.has(/^\s*(\w+)/.exec(line)?.[1]?.toLowerCase() ?? "") ? `# ${line}` : line))
    .join("\n")
    .trimEnd();
}

// A standby or a recovering server needs these at least as high as the server that wrote the WAL had them.
const minimaNames: ReadonlySet<string> = new Set([
  "max_connections",
  "max_worker_processes",
  "max_wal_senders",
  "max_prepared_transactions",
  "max_locks_per_transaction",
]);

/** Those the data directory's own two files do not say: set on the command line, in an included file, or outside. */
function recoveryMinima(configuration: ServerConfiguration, texts: readonly string[]): Record<string, string> {
  const outside = configuration.files["config_file"] !== undefined;
  const said = ({ name, value }: ServerSetting): boolean =>
    texts.some((text) => new RegExp(`^\\s*${name}\\s*=?\\s*'?${value}'?\\s*(#.*)?$`, "m").test(text));
  return Object.fromEntries(
    configuration.settings
      .filter(
        (setting) => minimaNames.has(setting.name) && (outside || (setting.source !== "default" && !said(setting))),
      )
      .map(({ name, value }) => [name, value]),
  );
}
