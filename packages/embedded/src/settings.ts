/** Server settings by name, as in postgresql.conf. Booleans become on and off. */
export type Settings = Readonly<Record<string, string | number | boolean>>;

/** Renders settings as lines of postgresql.conf. */
export function renderSettings(settings: Settings): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} = ${quote(value)}\n`)
    .join("");
}

function quote(value: string | number | boolean): string {
  if (typeof value === "boolean") return value ? "on" : "off";
  if (typeof value === "number") return String(value);
  // A backslash begins an escape in the file's strings.
  return `'${value.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}

/** What every cluster of this package starts from; a caller's settings come after. */
export const baseSettings: Settings = Object.freeze({
  timezone: "UTC",
  log_timezone: "UTC",
  lc_messages: "C",
  log_line_prefix: "%m [%p] ",
  wal_level: "replica",
  max_wal_senders: 10,
  max_replication_slots: 10,
  hot_standby: true,
  wal_log_hints: true,
});

/** Settings for data nobody will miss: no waiting for the disk. A crash of the machine, not of a process, loses it. */
export const throwawaySettings: Settings = Object.freeze({ fsync: false, full_page_writes: false });

/** Settings of a local topology: those of a small production server, with statements counted and timed. */
export function topologySettings(major: number): Settings {
  return {
    shared_preload_libraries: "pg_stat_statements",
    shared_buffers: "128MB",
    track_io_timing: true,
    wal_retrieve_retry_interval: "500ms",
    ...(major >= 13 ? { max_slot_wal_keep_size: "2GB" } : {}),
    ...(major >= 17 ? { summarize_wal: true } : {}),
  };
}
