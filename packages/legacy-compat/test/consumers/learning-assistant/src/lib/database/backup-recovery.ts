export * from "@db/legacy-compat/learning-assistant/backup-recovery";
