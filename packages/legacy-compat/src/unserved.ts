import type { Config } from "@db/config";

const told = new Set<string>();

/**
 * Says once per process what the old variables ask for and nothing here does, so that nobody counts on it. Not a
 * deprecation: the switches that silence those leave it.
 */
export function tellUnserved({ backup, notify }: Config): void {
  if (backup.remote !== false) {
    const { bucket, provider } = backup.remote;
    const message = `no copy of a backup goes to ${provider} bucket ${bucket}: backups are stored in ${backup.repository} alone`;
    tell("DB_LEGACY_REMOTE_STORAGE", message);
  }
  if (notify.enabled)
    tell("DB_LEGACY_NOTIFICATION", "no notification is sent, although NOTIFICATION_ENABLED asks for it");
}

function tell(code: string, message: string): void {
  if (told.has(code)) return;
  told.add(code);
  process.emitWarning(message, { code });
}
