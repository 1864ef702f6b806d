import { parseLsn, quoteLiteral } from "@db/core";
import { InvalidRecoveryTargetError } from "./errors.ts";
import { formatMicros, parseMicros } from "./wal/moment.ts";

/**
 * How far recovery goes. `immediate`: to the backup's end, where the data first is consistent. `latest`: to the last
 * WAL the repository has. The others: to a moment, a position, a transaction or a named restore point.
 */
export type RecoveryTarget =
  | { readonly type: "immediate" }
  | { readonly type: "latest" }
  | { readonly type: "time"; /** ISO 8601 with a time zone. */ readonly time: string; readonly inclusive?: boolean }
  | { readonly type: "lsn"; readonly lsn: string; readonly inclusive?: boolean }
  | { readonly type: "xid"; readonly xid: string; readonly inclusive?: boolean }
  | { readonly type: "name"; readonly name: string };

/** What the server does at the target. `promote` takes writes, `pause` waits to be looked at, `shutdown` stops. */
export type RecoveryAction = "promote" | "pause" | "shutdown";

/**
 * Checks a target's form.
 * @throws {InvalidRecoveryTargetError}
 */
export function checkRecoveryTarget(target: RecoveryTarget): void {
  const refuse = (what: string, hint: string): never => {
    throw new InvalidRecoveryTargetError(what, { hint });
  };
  switch (target.type) {
    case "immediate":
    case "latest":
      return;
    case "time":
      if (!/(Z|[+-]\d\d:?\d\d)$/.test(target.time) || Number.isNaN(Date.parse(target.time))) {
        refuse(`recovery target time "${target.time}" is not a time with its zone`, "Write 2026-11-10T03:00:00Z.");
      }
      return;
    case "lsn":
      parseLsn(target.lsn);
      return;
    case "xid":
      if (!/^\d{1,10}$/.test(target.xid))
        refuse(`recovery target xid "${target.xid}" is no number`, "Write it in digits.");
      return;
    case "name":
      if (target.name === "" || target.name.length > 63) {
        refuse("a recovery target name has 1 to 63 characters", "Give the name from pg_create_restore_point.");
      }
      return;
    default:
      refuse("unknown kind of recovery target", "Use immediate, latest, time, lsn, xid or name.");
  }
}

/**
 * The server settings that lead recovery to a target, for `postgresql.auto.conf`.
 * @see https://www.postgresql.org/docs/current/runtime-config-wal.html#RUNTIME-CONFIG-WAL-RECOVERY-TARGET
 */
export function recoverySettings(
  target: RecoveryTarget,
  timeline: number,
  action: RecoveryAction,
): Readonly<Record<string, string>> {
  const settings: Record<string, string> = {
    // All WAL lies in pg_wal already. A command must be named, and 1 means "not there" on every system.
    restore_command: "exit 1",
    recovery_target_timeline: String(timeline),
    recovery_target_action: action,
  };
  // Stopping at "immediate" takes one more record than a standby's backup may hold (seen on 18: FATAL, target not
  // reached). A restore to its own backup's end gets only that backup's WAL, so recovery ends there by itself.
  if (target.type === "latest" || (target.type === "immediate" && action === "promote")) {
    for (const name of targetNames) settings[name] = "";
  } else if (target.type === "immediate") settings["recovery_target"] = "immediate";
  else if (target.type === "time") {
    // An offset in digits: the server reads this before it knows the names of zones, Z among them.
    const time = formatMicros(parseMicros(target.time));
    settings["recovery_target_time"] = time.replace("T", " ").replace("Z", "+00");
  } else if (target.type === "lsn") settings["recovery_target_lsn"] = target.lsn;
  else if (target.type === "xid") settings["recovery_target_xid"] = target.xid;
  else if (target.type === "name") settings["recovery_target_name"] = target.name;
  if ("inclusive" in target) settings["recovery_target_inclusive"] = (target.inclusive ?? true) ? "on" : "off";
  return settings;
}

const targetNames = [
  "recovery_target",
  "recovery_target_time",
  "recovery_target_lsn",
  "recovery_target_xid",
  "recovery_target_name",
] as const;

/** Every setting that leads recovery: a restore silences those the backup brought along. */
export const recoveryTargetSettings: readonly string[] = [
  ...targetNames,
  "recovery_target_inclusive",
  "recovery_target_timeline",
  "recovery_target_action",
];

/** Writes settings as a configuration file's lines. */
export function renderSettings(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} = ${quoteSetting(value)}\n`)
    .join("");
}

// A configuration file always reads backslashes as escapes, so the plain form of a literal with doubled ones fits.
function quoteSetting(value: string): string {
  return quoteLiteral(value).replace(/^ E/, "");
}
