import { formatBytes, quoteIdentifier, quoteLiteral } from "@db/core";
import type { Check } from "./check.ts";

/** What cannot be seen: no `pg_stat_statements`, or a role without the right to look. */
export const visibility: Check = ({ server, setting }) => {
  const { identity, statements } = server.facts;
  const libraries = setting("shared_preload_libraries");
  return [
    ...(identity && !identity.canMonitor
      ? [
          {
            id: "PG-MONITOR-ROLE",
            severity: "warn" as const,
            title: `the monitoring role on ${server.name} may not see other sessions and statements`,
            subject: server.name,
            hint: "Without pg_monitor the waits, texts and ages of others are hidden.",
            command: `grant pg_monitor to ${quoteIdentifier(identity.role)};`,
            docs: "https://www.postgresql.org/docs/current/predefined-roles.html",
          },
        ]
      : []),
    ...(statements?.state === "not-loaded"
      ? [
          {
            id: "PG-STATEMENTS-MISSING",
            severity: "warn" as const,
            title: `pg_stat_statements is not loaded on ${server.name}`,
            subject: server.name,
            hint: "Without it nobody knows which queries take the time; it costs about one percent. Needs a restart.",
            command: loadCommand(libraries),
            docs: "https://www.postgresql.org/docs/current/pgstatstatements.html",
          },
        ]
      : []),
    ...(statements?.state === "not-installed" && server.role === "primary"
      ? [
          {
            id: "PG-STATEMENTS-MISSING",
            severity: "warn" as const,
            title: `pg_stat_statements is loaded on ${server.name} and not created in ${identity?.database ?? "it"}`,
            subject: server.name,
            hint: "The counters run already; the extension only makes them readable.",
            command: "create extension pg_stat_statements;",
            docs: "https://www.postgresql.org/docs/current/pgstatstatements.html",
          },
        ]
      : []),
  ];
};

/** The command that adds the library to those already there; each is an item of its own, or they become one name. */
function loadCommand(libraries: string | undefined): string {
  if (libraries === undefined) return "show shared_preload_libraries; -- then add pg_stat_statements to what it shows";
  const present = libraries
    .split(",")
    .map((library) => library.trim().replaceAll('"', ""))
    .filter(Boolean);
  const items = [...present, "pg_stat_statements"].map((library) => quoteLiteral(library).trim()).join(", ");
  const then = "-- then restart, and: create extension pg_stat_statements";
  return `alter system set shared_preload_libraries = ${items}; ${then}`;
}

/** Settings that risk data or hide what happens. */
export const safety: Check = ({ server, setting }) => {
  const off = (name: string): boolean => setting(name) === "off";
  return [
    ...(off("fsync")
      ? [
          {
            id: "PG-FSYNC-OFF",
            severity: "critical" as const,
            title: `fsync is off on ${server.name}`,
            subject: server.name,
            hint: "A power failure leaves the cluster damaged beyond repair; only a throw-away server may run so.",
            command: "alter system set fsync = on; select pg_reload_conf();",
          },
        ]
      : []),
    ...(off("full_page_writes")
      ? [
          {
            id: "PG-FULL-PAGE-WRITES-OFF",
            severity: "critical" as const,
            title: `full_page_writes is off on ${server.name}`,
            subject: server.name,
            hint: "A crash during a page write leaves a page half old, half new.",
            command: "alter system set full_page_writes = on; select pg_reload_conf();",
          },
        ]
      : []),
    ...(off("autovacuum")
      ? [
          {
            id: "PG-AUTOVACUUM-OFF",
            severity: "critical" as const,
            title: `autovacuum is off on ${server.name}`,
            subject: server.name,
            hint: "Dead rows pile up and transaction ids run out.",
            command: "alter system set autovacuum = on; select pg_reload_conf();",
          },
        ]
      : []),
    ...(off("data_checksums")
      ? [
          {
            id: "PG-CHECKSUMS-OFF",
            severity: "info" as const,
            title: `data checksums are off on ${server.name}`,
            subject: server.name,
            hint: "Damage by a disk is noticed only when it is too late; they can be enabled while the server is down.",
            command: "pg_checksums --enable --pgdata <data directory>",
            docs: "https://www.postgresql.org/docs/current/checksums.html",
          },
        ]
      : []),
    ...(off("track_io_timing")
      ? [
          {
            id: "PG-IO-TIMING-OFF",
            severity: "info" as const,
            title: `track_io_timing is off on ${server.name}`,
            subject: server.name,
            hint: "Nothing tells slow disks from slow plans; on today's machines it costs next to nothing.",
            command: "alter system set track_io_timing = on; select pg_reload_conf();",
          },
        ]
      : []),
  ];
};

const mb = 1024 ** 2;
const gb = 1024 ** 3;

/** Memory settings against what the server holds and the machine has. */
export const memory: Check = ({ server, snapshot, value }) => {
  const shared = value("pg_settings_shared_buffers_bytes");
  const workMem = value("pg_settings_work_mem_bytes");
  const connections = value("pg_settings_max_connections");
  const data = value("pg_database_size_bytes");
  const machine = snapshot.host?.memoryTotalBytes;
  if (shared === undefined || workMem === undefined || connections === undefined) return [];
  const wanted = machine === undefined ? 512 * mb : Math.floor(machine / 4 / mb) * mb;
  const affordable = Math.max(4, Math.floor(((machine ?? 0) - shared) / connections / 2 / mb));
  const atWorst = shared + connections * workMem;
  return [
    // A quarter of memory is the manual's own starting point; less matters only once the data outgrows it.
    ...(shared < Math.min(wanted, data ?? 0) && shared <= 128 * mb
      ? [
          {
            id: "PG-SHARED-BUFFERS",
            severity: "info" as const,
            title: `shared_buffers on ${server.name} is small for its data`,
            subject: server.name,
            observed: shared,
            threshold: Math.min(wanted, data ?? wanted),
            unit: "bytes",
            hint:
              `It holds ${formatBytes(data ?? 0)}; ` +
              (machine === undefined
                ? "a quarter of the machine's memory is the usual start. Needs a restart."
                : `a quarter of the machine's ${formatBytes(machine)} is the usual start. Needs a restart.`),
            command: `alter system set shared_buffers = '${Math.round(wanted / mb)}MB'; -- then restart`,
            docs: "https://www.postgresql.org/docs/current/runtime-config-resource.html#GUC-SHARED-BUFFERS",
          },
        ]
      : []),
    ...(machine !== undefined && atWorst > machine
      ? [
          {
            id: "PG-WORK-MEM",
            severity: "warn" as const,
            title: `work_mem on ${server.name} could take more memory than the machine has`,
            subject: server.name,
            observed: atWorst,
            threshold: machine,
            unit: "bytes",
            hint:
              `${connections} connections with one sort of ${formatBytes(workMem)} each and shared_buffers make ` +
              `${formatBytes(atWorst)}; lower max_connections behind a pool, or work_mem.`,
            command: `alter system set work_mem = '${affordable}MB'; select pg_reload_conf();`,
          },
        ]
      : []),
    ...(value("pg_settings_maintenance_work_mem_bytes") === 64 * mb && (data ?? 0) > 10 * gb
      ? [
          {
            id: "PG-MAINTENANCE-WORK-MEM",
            severity: "info" as const,
            title: `maintenance_work_mem on ${server.name} is at its default for much data`,
            subject: server.name,
            observed: 64 * mb,
            threshold: gb,
            unit: "bytes",
            hint: "VACUUM goes over all indexes again each time this fills; index builds spill to disk.",
            command: "alter system set maintenance_work_mem = '1GB'; select pg_reload_conf();",
          },
        ]
      : []),
  ];
};

/** Time-outs that are off although one forgotten session can stop everything. */
export const timeouts: Check = ({ server, value }) =>
  server.role === "primary" && value("pg_settings_idle_in_transaction_session_timeout_seconds") === 0
    ? [
        {
          id: "PG-NO-IDLE-TIMEOUT",
          severity: "info",
          title: `sessions on ${server.name} may stay idle inside a transaction for ever`,
          subject: server.name,
          hint: "One forgotten transaction holds its locks and all dead rows; give it an end.",
          command: "alter system set idle_in_transaction_session_timeout = '5min'; select pg_reload_conf();",
        },
      ]
    : [];
