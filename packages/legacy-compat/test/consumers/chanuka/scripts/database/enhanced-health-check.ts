export * from "@db/legacy-compat/chanuka/enhanced-health-check";
